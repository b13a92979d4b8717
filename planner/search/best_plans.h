#pragma once
#include <cstdint>
#include <vector>

#include "planner/plan.h"
#include "planner/search/search.h"

namespace meshplan::planner {

/// A simulated layout and its place in the order of the space.
struct Candidate {
  Plan plan;
  profiles::Bytes peak;
  std::int64_t place = 0;

  [[nodiscard]] profiles::Seconds step() const { return plan.prediction.step; }
};

/// The best `top` candidates seen: by step (under Objective::Memory by peak, then step), ties by
/// place. Candidates of equal step and peak are one: the first in place, with the `equivalent` of
/// all.
class BestPlans {
 public:
  BestPlans(int top, Objective objective)
      : top_(static_cast<std::size_t>(top)), objective_(objective) {}

  void offer(Candidate candidate);

  [[nodiscard]] bool full() const { return best_.size() == top_; }
  /// Of those kept; there is one.
  [[nodiscard]] const Candidate& worst() const { return best_.back(); }
  /// Best first; leaves nothing.
  std::vector<Plan> take();

 private:
  [[nodiscard]] bool before(const Candidate& a, const Candidate& b) const;

  std::size_t top_;
  Objective objective_;
  std::vector<Candidate> best_;
};

}  // namespace meshplan::planner
