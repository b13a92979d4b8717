#pragma once
#include <nlohmann/json_fwd.hpp>

#include "planner/explain/explain.h"

namespace meshplan::planner {

/// What `explain --json` prints besides the question: docs/schemas/explanation.schema.json.
nlohmann::json explanation_json(const Explanation& explanation);

/// The section "explanation" of one plan in `plan --json`: its terms less those of the best.
nlohmann::json standing_in_brief_json(const Standing& standing);

}  // namespace meshplan::planner
