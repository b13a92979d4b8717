#pragma once
#include <string>

#include "planner/plan.h"
#include "planner/problem.h"
#include "planner/simulate/named_term.h"

namespace meshplan::planner {

/// One layout beside the best one.
struct Standing {
  Layout layout, best;
  profiles::Seconds step{0}, best_step{0};
  Terms terms, best_terms;
  double order_chance = 0.5;  ///< that a run puts the two in this order (planner/uncertainty.h)
  std::string why;  ///< one sentence: the terms that make the difference, and what causes them

  /// step / best_step: 1.1 = 10% slower.
  [[nodiscard]] double ratio() const { return step / best_step; }
};

/// Where `plan` stands against `best`, both of `problem`.
///
/// The sentence names the terms in which the slower one loses most, until they make up 80% of all
/// that it loses, each with its cause where the two layouts differ in something that has that
/// effect; then the term in which it gains most, if that is a tenth of the difference or more.
Standing standing(const Problem& problem, const Plan& plan, const Plan& best);

}  // namespace meshplan::planner
