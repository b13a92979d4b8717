#include "planner/inference/direct_all_reduce.h"

#include <algorithm>

namespace meshplan::planner {
namespace {

using profiles::Seconds;

/// A kernel in a graph, and the ranks' flags once across NVLink: together the 5 to 6 us that
/// vendors show for such kernels at a few KiB.
constexpr Seconds kLaunch{3.1e-6};
constexpr Seconds kMeeting{2.5e-6};
/// Of NVLink's data-sheet rate: such kernels run on a few multiprocessors, load by load. Fitted on
/// recorded serving results (docs/inference.md).
constexpr double kLinkShare = 0.28;

}  // namespace

std::optional<Seconds> direct_all_reduce_time(profiles::Bytes payload, const GroupShape& shape,
                                              const profiles::Cluster& cluster) {
  using profiles::IntraNodeKind;
  const bool nvlink = cluster.intra_kind == IntraNodeKind::NvSwitch ||
                      cluster.intra_kind == IntraNodeKind::NvLinkMesh ||
                      cluster.intra_kind == IntraNodeKind::NvLinkPairs;
  if (shape.ranks < 2 || !nvlink || shape.nodes > 1 || shape.nvlink_domains > 1) {
    return std::nullopt;
  }
  const Seconds once = payload / (kLinkShare * cluster.intra_bandwidth);
  const double n = shape.ranks;
  const Seconds one_shot = kLaunch + kMeeting + (n - 1) * once;
  const Seconds two_shot = kLaunch + 2 * kMeeting + 2 * (n - 1) / n * once;
  return std::min(one_shot, two_shot);
}

}  // namespace meshplan::planner
