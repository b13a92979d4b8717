#pragma once
#include <string>

#include "planner/plan.h"
#include "planner/problem.h"

namespace meshplan::cli {

/// "cluster   dgx-h100, 2 x 8 h100-sxm-80gb (16 devices)"
std::string cluster_line(const profiles::Cluster& cluster);
/// What the question was: model, cluster, workload, profile; one line each.
std::string question_text(const planner::Problem& problem);
/// The best layouts side by side, then why the rest fell.
std::string plans_text(const planner::Problem& problem, const planner::PlanResult& result);
/// One plan in full: where the step goes, and the work and memory of each stage.
std::string plan_text(const planner::Problem& problem, const planner::Plan& plan);

}  // namespace meshplan::cli
