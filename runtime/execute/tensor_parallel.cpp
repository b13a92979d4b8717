#include "runtime/execute/tensor_parallel.h"

#include <utility>

#include "runtime/execute/tokens.h"

namespace meshplan::runtime {
namespace {

constexpr auto kTp = planner::Term::TensorParallel;

/// Streams of dropout lie above those of parameters.
constexpr std::uint64_t kDropoutStream = std::uint64_t{1} << 62;
constexpr int kPlaceBits = 24;

}  // namespace

std::int64_t RankContext::first_row(int microbatch) const {
  return first_sequence(groups.here.dp, microbatch, training.schedule.microbatches, layout().mbs) *
         seq_len();
}

Tensor gathered(ModelContext& context, const Tensor& part) {
  if (!context.sequence_parallel()) return part;
  Tensor whole =
      context.activation(context.layout().tp * part.rows(), part.cols(), MemoryTerm::Communication);
  Communicator& tp = *context.groups.tp;
  context.recorder.exposed(kTp, tp, [&] { tp.all_gather(part.buffer(), whole.buffer()); });
  return whole;
}

Tensor reduced(ModelContext& context, Tensor partial, MemoryTerm term) {
  if (context.layout().tp == 1) return partial;
  Communicator& tp = *context.groups.tp;
  if (!context.sequence_parallel()) {
    context.recorder.exposed(kTp, tp, [&] { tp.all_reduce(partial.buffer(), Reduction::Sum); });
    return partial;
  }
  Tensor part = context.activation(partial.rows() / context.layout().tp, partial.cols(), term);
  context.recorder.exposed(kTp, tp, [&] { tp.reduce_scatter(partial.buffer(), part.buffer()); });
  return part;
}

kernels::RandomKey dropout_key(const RankContext& context, int place) {
  return {context.training.options.seed,
          kDropoutStream | (static_cast<std::uint64_t>(context.step) << kPlaceBits) |
              static_cast<std::uint64_t>(place)};
}

void drop(RankContext& context, const Tensor& y, int place, int microbatch) {
  const auto probability = static_cast<float>(context.model().dropout);
  if (probability == 0) return;
  context.run(kernels::Dropout{y.view(), y.view(), probability, dropout_key(context, place),
                               context.first_row(microbatch) + context.first_local_token(), 0});
}

void add_to_residual(RankContext& context, const Tensor& y, const Weight& bias,
                     const Tensor& residual, int place, int microbatch) {
  if (!bias.empty()) context.run(kernels::BiasForward{y.view(), bias.value, y.view()});
  drop(context, y, place, microbatch);
  context.run(kernels::ResidualAdd{y.view(), residual.view(), y.view()});
}

Tensor dropout_gradient(RankContext& context, const Tensor& gradient, int place, int microbatch) {
  if (context.model().dropout == 0) return gradient;
  Tensor dropped = context.activation(gradient.rows(), gradient.cols(), MemoryTerm::Workspace);
  context.run(kernels::Copy{gradient.view(), dropped.view()});
  drop(context, dropped, place, microbatch);
  return dropped;
}

void run(RankContext& context, const WeightGradient& g) {
  const Tensor left = g.gather_left ? gathered(context, g.left) : g.left;
  const Tensor right = g.gather_right ? gathered(context, g.right) : g.right;
  context.run(kernels::Gemm{.a = left.view(),
                            .b = right.view(),
                            .c = g.weight.gradient,
                            .transpose_a = true,
                            .accumulate = true});
  if (!g.bias.empty()) context.run(kernels::BiasBackward{g.summed.view(), g.bias.gradient});
}

void WeightGradients::add(RankContext& context, WeightGradient gradient) {
  if (kept_) {
    waiting_.push_back(std::move(gradient));
  } else {
    run(context, gradient);
  }
}

void WeightGradients::run_kept(RankContext& context) {
  for (WeightGradient& gradient : waiting_) {
    run(context, gradient);
    gradient = {};
  }
  waiting_.clear();
}

}  // namespace meshplan::runtime
