#pragma once
#include <string>

#include "planner/explain/explain.h"

namespace meshplan::cli {

/// What fails and what mends it, where the layout stands, and where its memory goes.
std::string explanation_text(const planner::Problem& problem,
                             const planner::Explanation& explanation);

}  // namespace meshplan::cli
