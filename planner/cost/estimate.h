#pragma once
#include <algorithm>

#include "profiles/units.h"

namespace meshplan::planner {

/// How a figure came about; ordered from the most to the least trustworthy.
enum class Provenance { Measured, Interpolated, Extrapolated };

/// A predicted time, how it came about and how far off it may be.
struct Estimate {
  profiles::Seconds time{0};
  double spread = 0;  ///< one standard deviation of ln(measured / predicted)
  Provenance provenance = Provenance::Extrapolated;
};

}  // namespace meshplan::planner
