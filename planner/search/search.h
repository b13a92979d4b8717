#pragma once
#include <array>
#include <functional>
#include <optional>
#include <string>

#include "planner/layout/layout_text.h"
#include "planner/plan.h"
#include "planner/problem.h"

namespace meshplan::planner {

enum class Objective { Throughput, Latency, Memory, Cost };

/// The id of the rule by which somebody beyond the planner, such as a framework, refuses a legal
/// layout; none: it may run. The same layout must get the same answer.
using RefusingRule = std::function<std::optional<std::string>(const Layout&)>;

/// Which layouts of an answer count as different.
enum class Distinct {
  Layouts,  ///< those that differ in more than the order of axes
  Degrees,  ///< those that differ in tp, cp, pp, dp, ep or etp
};

/// tp, cp, pp, dp, ep and etp: what Distinct::Degrees goes by.
using DegreeKey = std::array<int, 6>;
inline DegreeKey degree_key(const Layout& l) {
  return {l.tp, l.cp, l.pp, l.dp, l.ep, l.expert_tp()};
}

struct SearchOptions {
  int top = 10;
  Distinct distinct = Distinct::Layouts;
  Objective objective = Objective::Throughput;
  LayoutText fixed;            ///< keys that every layout must have
  RefusingRule refusing_rule;  ///< asked of every legal layout before it is priced; may be empty
  bool mend_miss = true;       ///< when nothing fits, look for what would (costs more searches)
  std::function<void(const SearchReport&)> progress;  ///< now and then; may be empty
};

/// The best layouts of the whole space (search_space.h), exact under the simulator: of layouts that
/// do not count as different (Distinct) the best, and of those the best `top`.
///
/// Best first: every legal layout that fits has a lower bound on its simulated step; layouts are
/// simulated in the order of their bounds until the next bound is no better than the worst of the
/// best `top`. Bounds come in three rungs, each worked out only when the one before it comes up:
/// the work spread evenly over the stages, and the schedule's bound with the cheapest placement of
/// the groups, both shared by all options of ZeRO, overlap and order; then the layout's own prices.
/// Layouts that differ in the order of axes only but place their groups alike are simulated once;
/// one whose bound is no better than the best of its kind is not simulated. Those that turn out to
/// have the same step and peak are listed once (Plan::equivalent). Ties go to the layout that comes
/// first in the space, which puts plain options first.
///
/// For one step on a fixed cluster throughput, latency and cost order layouts alike; memory orders
/// them by peak bytes, then by step time.
PlanResult search(const Problem& problem, const SearchOptions& options);

}  // namespace meshplan::planner
