#include "planner/simulate/timeline_graph.h"

#include <algorithm>

#include "planner/schedule/dependencies.h"
#include "planner/simulate/terms.h"

namespace meshplan::planner {

using profiles::Seconds;

namespace {

constexpr bool on_compute_stream(Action action) {
  return is_compute(action) || action == Action::OptimizerSync || action == Action::OptimizerStep;
}
constexpr bool is_collective(Action action) {
  return action == Action::GradientReduce || action == Action::ParameterGather;
}

void consider(Binding& binding, const std::optional<TimelineNode>& other) {
  if (other && (!binding.by || other->end > binding.by->end)) binding.by = other;
}

}  // namespace

TimelineGraph::TimelineGraph(const Schedule& schedule, const Timeline& timeline)
    : schedule_(schedule), timeline_(timeline) {
  std::size_t instructions = 0;
  for (const auto& program : schedule.programs) {
    base_.push_back(instructions);
    instructions += program.size();
  }
  lane_ = instructions;
  nodes_.resize(lane_ * (timeline.steps + 1));
  sent_at_.resize(2 * schedule.chunks.size() * schedule.microbatches);
  collectives_.resize(schedule.stages);
  for (int rank = 0; rank < schedule.stages; ++rank) note_transfers(rank);
  for (const Span& span : timeline.spans) note_span(span);
}

std::size_t TimelineGraph::slot(bool backward, int chunk, int microbatch) const {
  return (static_cast<std::size_t>(backward ? schedule_.chunk_count() : 0) + chunk) *
             schedule_.microbatches +
         microbatch;
}

void TimelineGraph::note_transfers(int rank) {
  const auto& program = schedule_.programs[rank];
  for (std::size_t i = 0; i < program.size(); ++i) {
    const Instruction& in = program[i];
    // A send is kept where its receiver looks for it.
    if (in.action == Action::SendForward)
      sent_at_[slot(false, in.chunk + 1, in.microbatch)] = {rank, static_cast<int>(i)};
    if (in.action == Action::SendBackward)
      sent_at_[slot(true, in.chunk - 1, in.microbatch)] = {rank, static_cast<int>(i)};
    if (is_collective(in.action)) collectives_[rank].push_back(static_cast<int>(i));
  }
}

void TimelineGraph::note_span(const Span& span) {
  if (span.instruction < 0 || span.step < -1 || span.step >= timeline_.steps) return;
  auto& node = nodes_[(span.step + 1) * lane_ + base_[span.rank] + span.instruction];
  if (!node)
    node = TimelineNode{span.rank, span.instruction, span.step, span.stream, span.start, span.end};
  node->end = std::max(node->end, span.end);
}

std::optional<TimelineNode> TimelineGraph::find(int rank, int index, int step) const {
  if (index < 0 || step < -1 || step >= timeline_.steps) return std::nullopt;
  return nodes_[(step + 1) * lane_ + base_[rank] + index];
}

/// The compute-stream instruction before `index` in list order, in the step before if need be.
std::optional<TimelineNode> TimelineGraph::previous(int rank, int index, int step) const {
  const auto& program = schedule_.programs[rank];
  for (; step >= -1; --step, index = static_cast<int>(program.size()))
    while (--index >= 0)
      if (on_compute_stream(program[index].action)) {
        if (auto node = find(rank, index, step)) return node;
      }
  return std::nullopt;
}

std::optional<TimelineNode> TimelineGraph::last_by(int rank, Seconds time) const {
  std::optional<TimelineNode> last;
  for (const auto& node : nodes_) {
    if (!node || node->end > time || node->stream > Stream::DataParallel) continue;
    if (node->rank != rank && !schedule_.global_sync) continue;
    // Of those that end together the one that began last: the barrier, even if it costs nothing.
    if (!last || node->end > last->end || (node->end == last->end && node->start > last->start))
      last = node;
  }
  return last;
}

Binding TimelineGraph::binding(const TimelineNode& node) const {
  const Instruction& in = schedule_.programs[node.rank][node.instruction];
  Binding out{previous(node.rank, node.instruction, node.step), node.start};
  switch (in.action) {
    case Action::OptimizerSync:
      for (int rank = 0; rank < schedule_.stages; ++rank) {
        const auto& program = schedule_.programs[rank];
        const auto sync = std::find_if(program.begin(), program.end(), [](const Instruction& i) {
          return i.action == Action::OptimizerSync;
        });
        consider(out, previous(rank, static_cast<int>(sync - program.begin()), node.step));
        consider(out, last_collective(rank, node.step, Action::GradientReduce, node.end));
      }
      break;
    case Action::OptimizerStep:
      consider(out, last_collective(node.rank, node.step, Action::GradientReduce, node.start));
      break;
    case Action::GradientReduce: {
      const auto before = last_on(node.rank, node.stream, node.start);
      out.by = before && before->end >= node.start
                   ? before
                   : last_on(node.rank, Stream::Compute, node.start);
      break;
    }
    case Action::SendForward:
    case Action::SendBackward:
    case Action::ParameterGather:
      if (!out.by || out.by->end < node.start) {
        const auto before = last_on(node.rank, node.stream, node.start);
        if (before) out.by = before;
      }
      break;
    default:
      consider(out, arrival(node.rank, in, node.step));
      if (in.action == Action::Forward) consider_gathers(node, in, out);
      break;
  }
  return out;
}

/// A forward waits for gathers before it, and may run beside the last ones of its own chunk.
void TimelineGraph::consider_gathers(const TimelineNode& node, const Instruction& in,
                                     Binding& out) const {
  consider(out, last_collective(node.rank, node.step, Action::ParameterGather, node.start));
  const auto own =
      last_collective(node.rank, node.step, Action::ParameterGather, node.end, in.chunk);
  if (own && own->end > node.start) out = {own, own->end};
}

/// What began last on a stream before `time`.
std::optional<TimelineNode> TimelineGraph::last_on(int rank, Stream stream, Seconds time) const {
  const auto spans = spans_of(timeline_, rank);
  auto after = std::lower_bound(spans.begin(), spans.end(), time, [&](const Span& span, Seconds t) {
    return span.stream != stream ? span.stream < stream : span.start < t;
  });
  if (after == spans.begin() || (--after)->stream != stream) return std::nullopt;
  return find(rank, after->instruction, after->step);
}

/// The transfer that brings what `in` needs.
std::optional<TimelineNode> TimelineGraph::arrival(int rank, const Instruction& in,
                                                   int step) const {
  const bool backward = takes_output_grad(in.action);
  if (!backward && in.action != Action::Forward) return std::nullopt;
  const int from = in.chunk + (backward ? 1 : -1);
  if (from < 0 || from >= schedule_.chunk_count() || schedule_.chunks[from].stage == rank)
    return std::nullopt;
  const auto [sender, index] = sent_at_[slot(backward, in.chunk, in.microbatch)];
  return index < 0 ? std::nullopt : find(sender, index, step);
}

/// The collective of this kind (of this chunk, if one is named) that ends last, by `time`.
std::optional<TimelineNode> TimelineGraph::last_collective(int rank, int step, Action action,
                                                           Seconds time, int chunk) const {
  std::optional<TimelineNode> last;
  for (const int index : collectives_[rank]) {
    const Instruction& in = schedule_.programs[rank][index];
    if (in.action != action || (chunk >= 0 && in.chunk != chunk)) continue;
    const auto found = find(rank, index, step);
    if (found && found->end <= time && (!last || found->end > last->end)) last = found;
  }
  return last;
}

}  // namespace meshplan::planner
