#pragma once
#include <cmath>

namespace meshplan::planner {

/// Mean number of distinct experts that `tokens` tokens visit, each `per_token` of `count`, all
/// alike probable and drawn independently from token to token:
///
///   count (1 - (1 - per_token / count)^tokens)
///
/// One token touches per_token of them, many touch all. Their weights are what a step must read.
inline double experts_touched(int count, int per_token, double tokens) {
  const double missed = 1 - static_cast<double>(per_token) / count;
  return count * (1 - std::pow(missed, tokens));
}

}  // namespace meshplan::planner
