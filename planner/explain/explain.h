#pragma once
#include <optional>
#include <vector>

#include "planner/explain/memory_account.h"
#include "planner/explain/mends.h"
#include "planner/explain/standing.h"
#include "planner/plan.h"
#include "planner/problem.h"
#include "planner/search/search.h"

namespace meshplan::planner {

/// The answer to "why?" of one layout.
struct Explanation {
  Layout layout;
  std::vector<Mending> failing;      ///< every constraint that fails; empty: it runs
  std::optional<Plan> plan;          ///< its prediction, as if it fitted; none where it is illegal
  std::optional<Nearest> nearest;    ///< where something fails
  PlanResult searched;               ///< the best layout of the problem; empty plans: nothing fits
  std::optional<Standing> standing;  ///< of `plan`, else of the nearest, against the best
  std::optional<MemoryAccount> memory;  ///< of the same

  /// The layout that `standing` and `memory` speak of.
  [[nodiscard]] const Plan* subject() const {
    return plan ? &*plan : nearest ? &nearest->plan : nullptr;
  }
};

Explanation explain(const Problem& problem, const Layout& layout, const SearchOptions& options);

}  // namespace meshplan::planner
