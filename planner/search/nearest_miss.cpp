#include "planner/search/nearest_miss.h"

#include <fmt/format.h>

#include "planner/layout/layout_text.h"

namespace meshplan::planner {
namespace {

PlanResult best_only(const Problem& problem, SearchOptions options) {
  options.top = 1;
  options.mend_miss = false;
  options.progress = nullptr;
  return search(problem, options);
}

}  // namespace

std::string cheapest_mend(const Problem& problem, const SearchOptions& options) {
  if (!options.fixed.given.empty()) {
    SearchOptions freer = options;
    freer.fixed = {};
    const PlanResult found = best_only(problem, freer);
    if (!found.plans.empty()) {
      return fmt::format("without --fix {} fits", text(found.plans.front().layout));
    }
  }
  Problem larger = problem;
  constexpr int kMostDoublings = 10;
  for (int doubling = 0; doubling < kMostDoublings; ++doubling) {
    larger.cluster.nodes *= 2;
    const PlanResult found = best_only(larger, options);
    if (found.plans.empty()) continue;
    return fmt::format("{} nodes instead of {}: {} fits", larger.cluster.nodes,
                       problem.cluster.nodes, text(found.plans.front().layout));
  }
  return "";
}

}  // namespace meshplan::planner
