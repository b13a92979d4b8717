#include "planner/search/best_plans.h"

#include <algorithm>
#include <utility>

namespace meshplan::planner {

bool BestPlans::before(const Candidate& a, const Candidate& b) const {
  if (objective_ == Objective::Memory && a.peak != b.peak) return a.peak < b.peak;
  if (a.step() != b.step()) return a.step() < b.step();
  return a.place < b.place;
}

void BestPlans::offer(Candidate candidate) {
  const auto twin = std::find_if(best_.begin(), best_.end(), [&](const Candidate& kept) {
    return kept.step() == candidate.step() && kept.peak == candidate.peak;
  });
  if (twin != best_.end()) {
    candidate.plan.equivalent += twin->plan.equivalent;
    if (twin->place < candidate.place) {
      twin->plan.equivalent = candidate.plan.equivalent;
      return;
    }
    best_.erase(twin);
  }
  const auto at =
      std::upper_bound(best_.begin(), best_.end(), candidate,
                       [&](const Candidate& a, const Candidate& b) { return before(a, b); });
  best_.insert(at, std::move(candidate));
  if (best_.size() > top_) best_.pop_back();
}

std::vector<Plan> BestPlans::take() {
  std::vector<Plan> out;
  for (Candidate& candidate : best_) out.push_back(std::move(candidate.plan));
  best_.clear();
  return out;
}

}  // namespace meshplan::planner
