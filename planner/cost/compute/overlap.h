#pragma once
#include <algorithm>
#include <cmath>

namespace meshplan::planner {

/// Time of two activities that share the device: (a^p + b^p)^(1/p). p = 1: one after the other;
/// p large: the longer hides the shorter.
inline double overlapped(double a, double b, double p) {
  const double longer = std::max(a, b), shorter = std::min(a, b);
  if (longer <= 0) return 0;
  return longer * std::pow(1 + std::pow(shorter / longer, p), 1 / p);
}

}  // namespace meshplan::planner
