#include "runtime/execute/gradient_reduction.h"

#include <algorithm>

namespace meshplan::runtime {
namespace {

constexpr auto kTp = planner::Term::TensorParallel;
constexpr auto kDp = planner::Stream::DataParallel;

}  // namespace

GradientReduction::GradientReduction(RankContext& context, ModelState& state)
    : context_(context), state_(state) {
  for (const Segment& segment : state_.segments) reduced_.emplace_back(segment.buckets, false);
}

void GradientReduction::begin_step() {
  for (std::vector<bool>& segment : reduced_) segment.assign(segment.size(), false);
}

void GradientReduction::reduce(int segment, int bucket) {
  const std::vector<bool>& done = reduced_[segment];
  if (std::find(done.begin(), done.end(), true) == done.end()) reduce_over_tp(segment);
  reduced_[segment].at(bucket) = true;
  reduce_over_dp(segment, bucket);
}

void GradientReduction::reduce_the_rest() {
  for (std::size_t s = 0; s < state_.segments.size(); ++s) {
    for (int b = 0; b < state_.segments[s].buckets; ++b) {
      if (!reduced_[s][b]) reduce(static_cast<int>(s), b);
    }
    if (state_.segments[s].tied_table) reduce_over_ends(state_.segments[s]);
  }
}

void GradientReduction::reduce_over_tp(int segment) {
  for (const Parameter& p : state_.parameters) {
    if (p.segment != segment) continue;
    const bool rows_seen = p.copies == Copies::AllRanks && context_.sequence_parallel();
    const bool heads_seen = p.copies == Copies::SameKvHeads;
    if (!rows_seen && !heads_seen) continue;
    Communicator& group = rows_seen ? *context_.groups.tp : *context_.groups.same_kv_heads;
    // Columns of a fused matrix are not contiguous.
    const kernels::TensorView& gradient = p.part.gradient;
    const Tensor sum = context_.tensor(gradient.rows, gradient.cols, MemoryTerm::Communication);
    context_.run(kernels::Copy{gradient, sum.view()});
    context_.recorder.exposed(kTp, group, [&] { group.all_reduce(sum.buffer(), Reduction::Sum); });
    context_.run(kernels::Copy{sum.view(), gradient});
  }
}

void GradientReduction::reduce_over_dp(int segment, int bucket) {
  Communicator& dp = *context_.groups.dp;
  if (dp.size() == 1) return;
  const Segment& s = state_.segments[segment];
  const std::span<float> whole = s.bucket(s.gradients, bucket);
  context_.recorder.transferred(kDp, dp, [&] {
    if (s.shards > 1) {
      dp.reduce_scatter(whole, s.shard(s.gradients, bucket, dp.rank()));
    } else {
      dp.all_reduce(whole, Reduction::Sum);
    }
  });
}

void GradientReduction::reduce_over_ends(Segment& segment) {
  Communicator& ends = *context_.groups.ends;
  if (ends.size() == 1) return;
  const std::span<float> mine =
      segment.shards > 1 ? segment.shard(segment.gradients, 0, context_.groups.dp->rank())
                         : segment.bucket(segment.gradients, 0);
  context_.recorder.transferred(kDp, ends, [&] { ends.all_reduce(mine, Reduction::Sum); });
}

void gather_parameters(RankContext& context, Segment& segment, int bucket) {
  if (segment.shards == 1) return;
  Communicator& dp = *context.groups.dp;
  context.recorder.transferred(kDp, dp, [&] {
    dp.all_gather(segment.shard(segment.values, bucket, dp.rank()),
                  segment.bucket(segment.values, bucket));
  });
}

void gather_gradients(RankContext& context, Segment& segment) {
  if (segment.shards == 1) return;
  Communicator& dp = *context.groups.dp;
  for (int b = 0; b < segment.buckets; ++b) {
    dp.all_gather(segment.shard(segment.gradients, b, dp.rank()),
                  segment.bucket(segment.gradients, b));
  }
}

}  // namespace meshplan::runtime
