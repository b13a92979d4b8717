#include "runtime/execute/interpreter.h"

#include <algorithm>
#include <stdexcept>

namespace meshplan::runtime {
namespace {

using planner::Action;
using planner::Term;

constexpr Term term_of(Action action) {
  switch (action) {
    case Action::OptimizerSync:
    case Action::OptimizerStep:
      return Term::Optimizer;
    default:
      return Term::Compute;
  }
}

}  // namespace

Interpreter::Interpreter(RankContext& context, ModelState& state)
    : context_(context),
      state_(state),
      reduction_(context, state),
      gathers_(context, state),
      optimizer_(context, state),
      transfers_(context),
      weight_grads_left_(context.layout().chunks(), 0) {}

double Interpreter::run_step(int step) {
  context_.step = step;
  gradients_finished_ = false;
  gradient_scale_ = 1;
  loss_ = 0;
  reduction_.begin_step();
  std::fill(weight_grads_left_.begin(), weight_grads_left_.end(),
            context_.training.schedule.microbatches);

  const auto& program = context_.training.schedule.programs.at(context_.groups.here.pp);
  for (std::size_t i = 0; i < program.size(); ++i) {
    const auto index = static_cast<std::int32_t>(i);
    context_.device.world().note({step, index});
    context_.recorder.begin_instruction(step, index, term_of(program[i].action));
    run(program, index);
    context_.recorder.end_instruction();
  }
  if (!in_flight_.empty()) throw std::logic_error("the schedule leaves micro-batches unfinished");

  collect_losses();
  if (context_.groups.here.tp != 0) return 0;
  return loss_ / (static_cast<double>(context_.training.workload.global_batch) *
                  static_cast<double>(context_.seq_len()));
}

void Interpreter::collect_losses() {
  std::vector<float> tokens(static_cast<std::size_t>(context_.tokens()));
  for (const Tensor& loss : losses_) {
    context_.device.download(loss.memory(), std::as_writable_bytes(std::span(tokens)));
    for (const float token : tokens) loss_ += static_cast<double>(token);
  }
  losses_.clear();
}

void Interpreter::run(const Program& program, int index) {
  const planner::Instruction& i = program[static_cast<std::size_t>(index)];
  switch (i.action) {
    case Action::Forward:
      return forward(i.chunk, i.microbatch);
    case Action::Backward:
      return backward(i.chunk, i.microbatch, false);
    case Action::InputGrad:
      return backward(i.chunk, i.microbatch, true);
    case Action::WeightGrad:
      return weight_grad(i.chunk, i.microbatch);
    case Action::SendForward:
    case Action::SendBackward:
    case Action::ReceiveForward:
    case Action::ReceiveBackward:
      return post(program, index);
    case Action::Recompute:
      return;  // layer by layer in the backward that follows
    case Action::GradientReduce:
      return gradient_reduce(i.chunk, i.peer);
    case Action::ParameterGather:
      return parameter_gather(i.chunk, i.peer);
    case Action::OptimizerSync:
      return optimizer_sync();
    case Action::OptimizerStep:
      return optimizer_step();
  }
}

void Interpreter::forward(int chunk, int microbatch) {
  InFlight flight;
  const int local = state_.local(chunk);
  use_parameters(chunk, -1);
  Tensor x = chunk == 0 ? embedding_forward(context_, state_.embedding, microbatch)
                        : transfers_.take(chunk, microbatch, true);
  const std::vector<LayerParameters>& layers = state_.layers[local];
  flight.layers.resize(layers.size());
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const int layer = state_.first_layer[chunk] + static_cast<int>(l);
    use_parameters(chunk, static_cast<int>(l));
    x = layer_forward(context_, layers[l], layer, x, microbatch, flight.layers[l]);
    keep_for_backward(context_, flight.layers[l]);
  }
  use_parameters(chunk, static_cast<int>(layers.size()));
  if (chunk == context_.layout().chunks() - 1) {
    losses_.push_back(head_forward(context_, state_.head, x, microbatch, flight.head));
    if (!context_.device.asynchronous()) collect_losses();  // no wait, and the memory is free
    // GPipe comes back when all micro-batches have passed: logits of all of them would have to
    // wait. The gradient of the head's input is smaller by vocabulary over width.
    if (context_.layout().schedule == planner::ScheduleKind::GPipe) {
      flight.head_gradient =
          head_backward(context_, state_.head, std::move(flight.head), flight.weight_gradients);
      flight.head = {};
    }
  } else {
    transfers_.give(chunk, microbatch, true, std::move(x));
  }
  in_flight_[{chunk, microbatch}] = std::move(flight);
}

/// Computing goes on with layer `layer` of the chunk; -1: what lies before the first, one beyond
/// the last: the head.
void Interpreter::use_parameters(int chunk, int layer) {
  const int local = state_.local(chunk);
  const std::vector<LayerParameters>& layers = state_.layers[local];
  const auto next = static_cast<std::size_t>(layer + 1);
  gathers_.use(local, next < layers.size() ? layers[next].norm1.value.data : nullptr);
  const bool end = layer < 0 || next > layers.size();
  if (end && state_.segments.back().tied_table) {
    gathers_.use(static_cast<int>(state_.segments.size()) - 1, nullptr);
  }
}

void Interpreter::backward(int chunk, int microbatch, bool split) {
  InFlight& flight = in_flight_.at({chunk, microbatch});
  flight.weight_gradients = WeightGradients(split);
  Tensor gradient;
  if (!flight.head_gradient.empty()) {
    gradient = std::move(flight.head_gradient);
  } else if (chunk == context_.layout().chunks() - 1) {
    gradient =
        head_backward(context_, state_.head, std::move(flight.head), flight.weight_gradients);
    flight.head = {};
  } else {
    gradient = transfers_.take(chunk, microbatch, false);
  }
  const std::vector<LayerParameters>& layers = state_.layers[state_.local(chunk)];
  // Buckets go as soon as they are complete where they can run beside what is left.
  const bool last = !split && weight_grads_left_[chunk] == 1 && context_.device.asynchronous() &&
                    context_.layout().overlap != planner::Overlap::None;
  for (int l = static_cast<int>(layers.size()) - 1; l >= 0; --l) {
    gradient =
        layer_backward(context_, layers[l], state_.first_layer[chunk] + l,
                       std::move(flight.layers[l]), gradient, microbatch, flight.weight_gradients);
    flight.layers[l] = {};
    if (last) reduction_.reduce_from(state_.local(chunk), layers[l].norm1.gradient.data);
  }
  if (chunk == 0) {
    embedding_backward(context_, state_.embedding, gradient, microbatch);
  } else {
    transfers_.give(chunk, microbatch, false, std::move(gradient));
  }
  if (!split) {
    in_flight_.erase({chunk, microbatch});
    --weight_grads_left_[chunk];
  }
}

void Interpreter::weight_grad(int chunk, int microbatch) {
  in_flight_.at({chunk, microbatch}).weight_gradients.run_kept(context_);
  in_flight_.erase({chunk, microbatch});
  --weight_grads_left_[chunk];
}

void Interpreter::post(const Program& program, int index) {
  // An asynchronous device posts a group where its first transfer stands.
  const auto at = static_cast<std::size_t>(index);
  std::size_t end = at + 1;
  if (const int group = program[at].group; group >= 0 && context_.device.asynchronous()) {
    if (at > 0 && program[at - 1].group == group) return;
    while (end < program.size() && program[end].group == group) ++end;
  }
  transfers_.post(std::span(program).subspan(at, end - at), index);
}

void Interpreter::gradient_reduce(int chunk, int bucket) {
  if (weight_grads_left_[chunk] != 0) {
    throw std::logic_error("the schedule reduces gradients before they are complete");
  }
  reduction_.reduce(state_.local(chunk), bucket);
}

void Interpreter::parameter_gather(int chunk, int bucket) {
  const int local = state_.local(chunk);
  const Segment& segment = state_.segments[local];
  const int gathers = context_.training.schedule.chunks[chunk].gather_buckets;
  // Gathers go from the front of the segment, where the first layers lie; bucket 0 is its end.
  const auto edge = [&](int b) { return segment.buckets - segment.buckets * b / gathers; };
  for (int b = edge(bucket) - 1; b >= edge(bucket + 1); --b) {
    gathers_.gather(local, b);
  }
}

void Interpreter::finish_gradients() {
  if (gradients_finished_) return;
  gradients_finished_ = true;
  reduction_.reduce_the_rest();
  if (context_.training.options.captured_step == context_.step) capture();
}

void Interpreter::optimizer_sync() {
  finish_gradients();
  const double norm = optimizer_.global_norm();
  const double most = context_.training.options.clip_norm;
  gradient_scale_ = static_cast<float>(norm > most ? most / norm : 1.0);
  collect_losses();  // the host has just waited for the device
}

void Interpreter::optimizer_step() {
  finish_gradients();
  optimizer_.step(context_.step + 1, gradient_scale_);
  for (std::size_t s = 0; s < state_.segments.size(); ++s) {
    const Segment& segment = state_.segments[s];
    const bool listed = !segment.tied_table &&
                        context_.training.schedule.chunks[state_.chunks[s]].gather_buckets > 0;
    if (listed) continue;  // gathered by ParameterGather of the next step
    for (int b = segment.buckets - 1; b >= 0; --b) gathers_.gather(static_cast<int>(s), b);
  }
}

void Interpreter::capture() {
  for (Segment& segment : state_.segments) gather_gradients(context_, segment);
  if (context_.groups.here.dp != 0) return;
  for (const Parameter& p : state_.parameters) {
    const kernels::TensorView& g = p.part.gradient;
    GradientPart part{p.name, p.rows, p.cols, p.first_row, p.first_col, g.rows, g.cols, {}};
    const Tensor dense = context_.tensor(g.rows, g.cols, MemoryTerm::Workspace);
    context_.run(kernels::Copy{g, dense.view()});
    part.values.resize(static_cast<std::size_t>(g.elements()));
    context_.device.download(dense.data(), std::as_writable_bytes(std::span(part.values)));
    captured_.push_back(std::move(part));
  }
}

}  // namespace meshplan::runtime
