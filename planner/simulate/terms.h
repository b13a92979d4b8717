#pragma once
#include <span>
#include <vector>

#include "planner/simulate/timeline.h"

namespace meshplan::planner {

struct Window {
  profiles::Seconds start{0}, end{0};
  [[nodiscard]] profiles::Seconds length() const { return end - start; }
};

/// The step time of a timeline, whose it is and what it is made of.
struct StepTerms {
  profiles::Seconds step{0};
  int rank = 0;
  Terms terms;
};

/// What a rank does not compute in its window: `transfer` while data that it sends or will receive
/// moves, `waiting` while nothing moves and a peer must finish first.
struct Bubble {
  profiles::Seconds waiting{0}, transfer{0};
};

/// The spans of one rank; `timeline` is sorted as Timeline says.
std::span<const Span> spans_of(const Timeline& timeline, int rank);

/// Step `step` of one rank, from the moment it begins to the moment the next one begins; in a
/// timeline without step_starts the last step ends with its last span.
Window period_of(const Timeline& timeline, int rank, int step);

/// Cuts `window` of one rank in disjoint terms: each instant belongs to the first of compute,
/// optimizer, tp, cp, ep, dp, pipeline transfer, overhead that is under way on any stream of the
/// rank, else to the bubble.
Terms terms_of(std::span<const Span> spans_of_one_rank, Window window);
Terms terms_of(const Timeline& timeline, int rank, Window window);

/// Terms of step `step`, of the rank whose period is longest. Periods that differ by less than
/// rounding (1e-9 of their length) are ties, and the lowest rank stands for them.
StepTerms step_terms(const Timeline& timeline, int step);
/// Of the last step: the one that is steady, or warm when measured.
StepTerms step_terms(const Timeline& timeline);

/// By rank, over step `step`.
std::vector<Bubble> bubbles_of(const Timeline& timeline, int step);

/// The rank that step_terms means, from the periods of all.
int slowest_rank(std::span<const profiles::Seconds> periods);

}  // namespace meshplan::planner
