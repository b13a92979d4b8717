#include "planner/cluster/rank_group.h"

#include <algorithm>

#include "planner/layout/rank_place.h"

namespace meshplan::planner {
namespace {

template <typename Wanted>
RankGroup axes_group(const Layout& layout, Wanted wanted) {
  RankGroup group;
  std::int64_t stride = 1;
  for (const Axis axis : layout.order) {
    if (wanted(axis)) group.append({stride, degree(layout, axis)});
    stride *= degree(layout, axis);
  }
  return group;
}

RankGroup stage_group(const Layout& layout) {
  return axes_group(layout, [](Axis axis) { return axis != Axis::Pp; });
}

/// Of the ranks of `whole`, numbered in its order, those at index `stride` * i, i < `count`.
/// Where an index block does not divide a step of `whole`, the rest is counted on at that step's
/// stride: exact where `whole` is one step, as it is in the default order.
RankGroup every(const RankGroup& whole, std::int64_t stride, std::int64_t count) {
  RankGroup out;
  for (int i = 0; i < whole.used && count > 1; ++i) {
    const RankStep step = whole.steps[i];
    if (stride >= step.count && stride % step.count == 0) {
      stride /= step.count;
      continue;
    }
    const std::int64_t here = std::max<std::int64_t>(1, step.count / stride);
    const bool last = i + 1 == whole.used || count <= here || count % here != 0;
    const std::int64_t taken = last ? count : here;
    out.append({step.stride * stride, taken});
    count /= taken;
    stride = 1;
  }
  return out;
}

}  // namespace

void RankGroup::append(RankStep step) {
  if (step.count == 1) return;
  if (used > 0 && steps[used - 1].stride * steps[used - 1].count == step.stride) {
    steps[used - 1].count *= step.count;
  } else {
    steps[used++] = step;
  }
}

std::int64_t RankGroup::ranks() const {
  std::int64_t product = 1;
  for (int i = 0; i < used; ++i) product *= steps[i].count;
  return product;
}

RankGroup axis_group(const Layout& layout, Axis axis) {
  return axes_group(layout, [axis](Axis one) { return one == axis; });
}

RankGroup replica_group(const Layout& layout) {
  return axes_group(layout, [](Axis axis) { return axis == Axis::Dp || axis == Axis::Cp; });
}

RankGroup shard_group(const Layout& layout) {
  return every(replica_group(layout), 1, layout.shards());
}

RankGroup replicate_group(const Layout& layout) {
  return every(replica_group(layout), layout.shards(), layout.hsdp);
}

RankGroup expert_tensor_group(const Layout& layout) {
  return every(stage_group(layout), 1, layout.expert_tp());
}

RankGroup expert_group(const Layout& layout) {
  return every(stage_group(layout), layout.expert_tp(), layout.ep);
}

RankGroup expert_replica_group(const Layout& layout) {
  const std::int64_t inner = std::int64_t{layout.expert_tp()} * layout.ep;
  const std::int64_t stage = stage_group(layout).ranks();
  return every(stage_group(layout), inner, std::max<std::int64_t>(1, stage / inner));
}

}  // namespace meshplan::planner
