#pragma once
#include <string>

#include "planner/problem.h"
#include "profiles/data_files.h"

namespace meshplan::planner {

/// Habits of the software called `name` where it runs `problem`: of the versions that its files
/// tell apart, the one for the problem's device, model and data type.
///
/// A model with RMSNorm is trained by software of 2023 or later, whatever the device: Llama and its
/// kin are of 2023. Versions for Hopper are of that time too, so they stand for it.
profiles::Framework software_of(const std::string& name, const Problem& problem,
                                const profiles::DataFiles& files);

}  // namespace meshplan::planner
