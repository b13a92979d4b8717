#include "runtime/execute/groups.h"

#include "planner/layout/stage_split.h"

namespace meshplan::runtime {

Coordinates coordinates_of(const planner::Layout& layout, int rank) {
  Coordinates at;
  for (const planner::Axis axis : layout.order) {
    const auto take = [&](int degree) {
      const int digit = rank % degree;
      rank /= degree;
      return digit;
    };
    switch (axis) {
      case planner::Axis::Tp:
        at.tp = take(layout.tp);
        break;
      case planner::Axis::Dp:
        at.dp = take(layout.dp);
        break;
      case planner::Axis::Pp:
        at.pp = take(layout.pp);
        break;
      case planner::Axis::Cp:
        take(layout.cp);
        break;
    }
  }
  return at;
}

Groups make_groups(const planner::Layout& layout, int kv_heads, Communicator& world) {
  Groups groups;
  const Coordinates at = coordinates_of(layout, world.rank());
  groups.here = at;
  const int tp = layout.tp;
  const int dp = layout.dp;
  groups.tp = world.split(at.pp * dp + at.dp, at.tp, Queue::TensorParallel);
  groups.dp = world.split(at.pp * tp + at.tp, at.dp, Queue::DataParallel);
  groups.pp_forward = world.split(at.dp * tp + at.tp, at.pp, Queue::PipelineForward);
  groups.pp_backward = world.split(at.dp * tp + at.tp, at.pp, Queue::PipelineBackward);
  const bool end = at.pp == planner::owner_of_chunk(layout, 0) ||
                   at.pp == planner::owner_of_chunk(layout, layout.chunks() - 1);
  groups.ends = groups.pp_forward->split(end ? 0 : 1, at.pp, Queue::DataParallel);
  const int copies = kv_heads < tp ? tp / kv_heads : 1;
  groups.same_kv_heads = groups.tp->split(at.tp / copies, at.tp, Queue::TensorParallel);
  return groups;
}

}  // namespace meshplan::runtime
