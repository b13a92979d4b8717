#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include "planner/layout/layout.h"
#include "planner/search/search.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// A simulated layout, in short, and its place in the order of the space.
struct Candidate {
  Layout layout;
  profiles::Seconds step{0};
  profiles::Bytes peak;
  std::int64_t place = 0;
  std::int64_t equivalent = 1;  ///< layouts that it stands for, itself included
};

/// The best candidate of each kind (search.h, Distinct), and of those the best `top`: by step
/// (under Objective::Memory by peak, then step), ties by place. Kinds whose best have equal step
/// and peak count as one: the first in place, with the `equivalent` of all.
///
/// The best of every kind is kept, those beyond the `top` as well: when two kinds come to have
/// equal figures and count as one, a kind that was beyond moves up.
class BestLayouts {
 public:
  BestLayouts(int top, Objective objective)
      : top_(static_cast<std::size_t>(top)), objective_(objective) {}

  void offer(std::int64_t kind, const Candidate& candidate);

  /// The best of a kind so far; null where none was offered.
  [[nodiscard]] const Candidate* best_of(std::int64_t kind) const;
  [[nodiscard]] bool full() const { return worst_.has_value(); }
  /// The last of the best `top`; full() only.
  [[nodiscard]] const Candidate& worst() const { return *worst_; }
  /// The best `top`, best first.
  [[nodiscard]] std::vector<Candidate> best() const;

 private:
  /// What candidates are ordered by.
  using Rank = std::tuple<profiles::Bytes, profiles::Seconds, std::int64_t>;
  [[nodiscard]] Rank rank_of(const Candidate& candidate) const;

  std::size_t top_;
  Objective objective_;
  std::map<std::int64_t, Candidate> by_kind_;
  std::map<Rank, std::int64_t> ranking_;  ///< of the kinds
  std::optional<Candidate> worst_;
};

}  // namespace meshplan::planner
