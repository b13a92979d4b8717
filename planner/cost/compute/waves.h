#pragma once
#include <cmath>

namespace meshplan::planner {

/// Rounds that `blocks` thread blocks take on `slots` multiprocessors; at least one. The last,
/// partly filled round costs between its share (quantisation 0) and a full round (1).
inline double waves(double blocks, double slots, double quantisation) {
  const double exact = blocks / slots;
  if (exact <= 1) return 1;
  return exact + quantisation * (std::ceil(exact) - exact);
}

}  // namespace meshplan::planner
