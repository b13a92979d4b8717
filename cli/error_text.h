#pragma once
#include <string>

#include "profiles/units.h"

namespace meshplan::cli {

/// 0.025 as "+2.5%", and as "+2.5 pp" (percentage points); never "-0.0".
std::string signed_percent(double fraction);
std::string signed_points(double fraction);

/// predicted / measured - 1, "+2.5%"; "-" where next to nothing was measured, or waiting came out
/// negative.
std::string error_text(double predicted, double measured);
std::string error_text(profiles::Seconds predicted, profiles::Seconds measured);
std::string error_text(profiles::Bytes predicted, profiles::Bytes measured);

}  // namespace meshplan::cli
