#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "planner/evaluate/evaluate_inference.h"

namespace meshplan::cli {

/// The keys of `evaluate --json` about serving runs: ttft, tpot, throughput, serving_groups,
/// serving_runs.
nlohmann::json serving_accuracy_json(const planner::ServingReport& report);
/// The same for people.
std::string serving_accuracy_text(const planner::ServingReport& report);
/// The largest mean error of the three.
double worst_mean_error(const planner::ServingReport& report);

}  // namespace meshplan::cli
