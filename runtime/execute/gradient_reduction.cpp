#include "runtime/execute/gradient_reduction.h"

#include <algorithm>

namespace meshplan::runtime {
namespace {

constexpr auto kTp = planner::Term::TensorParallel;
constexpr auto kDp = planner::Stream::DataParallel;

}  // namespace

GradientReduction::GradientReduction(RankContext& context, ModelState& state)
    : context_(context), state_(state), tp_reduced_(state.parameters.size(), false) {
  for (const Segment& segment : state_.segments) reduced_.emplace_back(segment.buckets, false);
}

void GradientReduction::begin_step() {
  for (std::vector<bool>& segment : reduced_) segment.assign(segment.size(), false);
  tp_reduced_.assign(tp_reduced_.size(), false);
}

void GradientReduction::reduce(int segment, int bucket) {
  if (reduced_[segment].at(bucket)) return;
  reduced_[segment][bucket] = true;
  const Segment& s = state_.segments[segment];
  reduce_over_tp(segment, s.bucket(s.gradients, bucket).data);
  reduce_over_dp(segment, bucket);
}

void GradientReduction::reduce_from(int segment, const void* first) {
  const Segment& s = state_.segments[segment];
  for (int b = 0; b < s.buckets && s.bucket(s.gradients, b).data >= first; ++b) {
    reduce(segment, b);
  }
}

void GradientReduction::reduce_the_rest() {
  for (std::size_t s = 0; s < state_.segments.size(); ++s) {
    for (int b = 0; b < state_.segments[s].buckets; ++b) {
      if (!reduced_[s][b]) reduce(static_cast<int>(s), b);
    }
    if (state_.segments[s].tied_table) reduce_over_ends(state_.segments[s]);
  }
  if (last_) context_.recorder.after(*last_);
  last_.reset();
}

/// The parameters that lie at `first` or behind it, or reach beyond it: all of their gradients are
/// complete when those of the bucket are, because a layer is complete as a whole.
void GradientReduction::reduce_over_tp(int segment, const void* first) {
  for (std::size_t i = 0; i < state_.parameters.size(); ++i) {
    const Parameter& p = state_.parameters[i];
    const kernels::TensorView& g = p.part.gradient;
    const auto* end = static_cast<const float*>(g.data) + (g.rows - 1) * g.row_stride + g.cols;
    if (p.segment != segment || tp_reduced_[i] || end <= first) continue;
    tp_reduced_[i] = true;
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
  const Buffer whole = s.bucket(s.gradients, bucket);
  last_ = context_.recorder.transferred(kDp, dp, [&] {
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
  const Buffer mine = segment.shards > 1
                          ? segment.shard(segment.gradients, 0, context_.groups.dp->rank())
                          : segment.bucket(segment.gradients, 0);
  last_ = context_.recorder.transferred(kDp, ends, [&] { ends.all_reduce(mine, Reduction::Sum); });
}

void ParameterGathers::gather(int segment, int bucket) {
  const Segment& s = state_.segments[segment];
  if (s.shards == 1) return;
  Communicator& dp = *context_.groups.dp;
  const Buffer whole = s.bucket(s.values, bucket);
  const Moment there = context_.recorder.transferred(
      kDp, dp, [&] { dp.all_gather(s.shard(s.values, bucket, dp.rank()), whole); });
  under_way_[segment].push_back({whole.data, there});
}

void ParameterGathers::use(int segment, const void* end) {
  std::deque<Gather>& gathers = under_way_[segment];
  std::optional<Moment> last;
  while (!gathers.empty() && (end == nullptr || gathers.front().begin < end)) {
    last = gathers.front().there;
    gathers.pop_front();
  }
  if (last) context_.recorder.after(*last);
}

void gather_gradients(RankContext& context, Segment& segment) {
  if (segment.shards == 1) return;
  Communicator& dp = *context.groups.dp;
  for (int b = 0; b < segment.buckets; ++b) {
    context.recorder.exposed(planner::Term::DataParallel, dp, [&] {
      dp.all_gather(segment.shard(segment.gradients, b, dp.rank()),
                    segment.bucket(segment.gradients, b));
    });
  }
}

}  // namespace meshplan::runtime
