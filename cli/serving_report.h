#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "planner/inference/search_inference.h"

namespace meshplan::cli {

/// What the question was.
std::string serving_question_text(const planner::Problem& problem, const profiles::Engine& engine);
/// The best layouts, the frontier, and why the rest fell.
std::string serving_plans_text(const planner::Problem& problem, const planner::ServingPlans& found);
/// One layout: what users see, where a step goes, memory by stage.
std::string serving_plan_text(const planner::ServingPlan& plan);
/// The document of both commands: schema meshplan.serving/1.
nlohmann::json serving_json(const planner::Problem& problem, const profiles::Engine& engine,
                            const planner::ServingPlans& found);

}  // namespace meshplan::cli
