#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "planner/plan.h"
#include "planner/problem.h"
#include "planner/search/search.h"

namespace meshplan::planner {

/// How many GPUs does it take to train `tokens` before `deadline`, for at most `dollars`?
struct FleetQuestion {
  double tokens = 0;
  profiles::Seconds deadline{0};
  std::optional<double> most_dollars;
  std::optional<double> dollars_per_device_hour;
};

/// One size of the cluster.
struct FleetSize {
  int nodes = 1;
  std::int64_t devices = 1;
  std::optional<Plan> plan;       ///< the best; none: nothing fits, or nothing divides the batch
  profiles::Seconds time{0};      ///< of all steps
  std::optional<double> dollars;  ///< devices * time * price; none without a price
  bool in_time = false, in_budget = true;
  [[nodiscard]] bool meets() const { return plan && in_time && in_budget; }
};

struct FleetAnswer {
  std::int64_t steps = 0;  ///< tokens over those of a step, rounded up
  int least_nodes = 1;     ///< with fewer no layout can be in time: peak FLOPs alone take longer
  std::vector<FleetSize> sizes;       ///< every size that was tried, smallest first
  std::optional<std::size_t> chosen;  ///< the smallest that meets the question
  std::string how;                    ///< which sizes were tried, in one sentence
};

/// Tries sizes of `problem.cluster`, with as many devices a node as it has.
///
/// Time does not fall monotonically with the size: a size whose devices factor badly, or whose
/// replicas do not divide the batch, has poor layouts. So nothing is bisected: from the least
/// number of nodes that the peak allows, sizes 4, 5, 6 and 7 times powers of two are tried in turn
/// until one meets the question; then every size between it and the one before, or 32 of them
/// evenly spaced where there are more. Sizes left out may meet it too; the answer says which were
/// tried. Gives up where four sizes in turn are no faster than the fastest, or dearer than the
/// budget though in time, or have more replicas than sequences. Where no size that could be in time
/// has a layout at all, the largest power of two below that has one is added, as what can be
/// achieved.
FleetAnswer smallest_fleet(const Problem& problem, const FleetQuestion& question,
                           const SearchOptions& options,
                           const std::function<void(const FleetSize&)>& progress = {});

/// The problem with `nodes` nodes.
Problem resized(const Problem& problem, int nodes);

}  // namespace meshplan::planner
