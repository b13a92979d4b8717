#include "planner/search/best_layouts.h"

#include <algorithm>

namespace meshplan::planner {

BestLayouts::Rank BestLayouts::rank_of(const Candidate& candidate) const {
  const bool by_peak = objective_ == Objective::Memory;
  return {by_peak ? candidate.peak : profiles::Bytes{}, candidate.step, candidate.place};
}

void BestLayouts::offer(std::int64_t kind, const Candidate& candidate) {
  const auto [at, fresh] = by_kind_.try_emplace(kind, candidate);
  Candidate& kept = at->second;
  if (!fresh) {
    if (kept.step == candidate.step && kept.peak == candidate.peak) {
      const std::int64_t equivalent = kept.equivalent + candidate.equivalent;
      if (candidate.place < kept.place) {
        ranking_.erase(rank_of(kept));
        kept = candidate;
      }
      kept.equivalent = equivalent;
    } else if (rank_of(candidate) < rank_of(kept)) {
      ranking_.erase(rank_of(kept));
      kept = candidate;
    } else {
      return;
    }
  }
  ranking_[rank_of(kept)] = kind;
  const std::vector<Candidate> so_far = best();
  worst_.reset();
  if (so_far.size() == top_) worst_ = so_far.back();
}

const Candidate* BestLayouts::best_of(std::int64_t kind) const {
  const auto at = by_kind_.find(kind);
  return at == by_kind_.end() ? nullptr : &at->second;
}

std::vector<Candidate> BestLayouts::best() const {
  std::vector<Candidate> out;
  for (const auto& [rank, kind] : ranking_) {
    const Candidate& next = by_kind_.at(kind);
    const auto twin = std::find_if(out.begin(), out.end(), [&](const Candidate& c) {
      return c.step == next.step && c.peak == next.peak;
    });
    if (twin != out.end()) {
      twin->equivalent += next.equivalent;
      continue;
    }
    // Twins of the last have its step, or its peak and step: they are its neighbours in rank.
    if (out.size() == top_) {
      if (next.step != out.back().step) break;
      continue;
    }
    out.push_back(next);
  }
  return out;
}

}  // namespace meshplan::planner
