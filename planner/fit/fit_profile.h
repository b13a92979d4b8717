#pragma once
#include <string>
#include <vector>

#include "planner/fit/tables.h"
#include "profiles/device_profile.h"

namespace meshplan::planner {

/// The profile of `device` that its tables tell: every constant fitted on half of the rows, the
/// errors reported on the other half (split.h). Takes seconds; deterministic. `date` = the day to
/// record, "2025-01-31". Refuses tables without a GEMM or without a decode or prefill
/// row, and rows in other formats than bf16.
profiles::DeviceProfile fit_profile(const profiles::Device& device, const Tables& tables,
                                    const std::string& date);

/// The text of the profile's file: JSON, a line per section and per constant.
std::string profile_text(const profiles::DeviceProfile& profile);

}  // namespace meshplan::planner
