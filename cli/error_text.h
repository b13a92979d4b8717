#pragma once
#include <string>

#include "profiles/units.h"

namespace meshplan::cli {

/// predicted / measured - 1, "+2.5%"; "-" where next to nothing was measured, or waiting came out
/// negative.
std::string error_text(double predicted, double measured);
std::string error_text(profiles::Seconds predicted, profiles::Seconds measured);
std::string error_text(profiles::Bytes predicted, profiles::Bytes measured);

}  // namespace meshplan::cli
