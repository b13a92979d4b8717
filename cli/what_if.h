#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/problem_options.h"
#include "planner/plan.h"
#include "planner/search/search.h"

namespace meshplan::cli {

/// What `--set` changes in the best plan.
struct WhatIf {
  struct Setting {
    std::string key, from, to;
  };
  std::vector<Setting> settings;
  std::optional<planner::Plan> before, after;  ///< none: nothing fits
  /// The plan that was best, kept although the facts change; none where it no longer runs.
  std::optional<planner::Plan> kept;
};

/// None without `--set`. `after` = the best plan of `changed`, the problem with the settings.
std::optional<WhatIf> what_if(const ProblemOptions& options, const profiles::DataFiles& files,
                              const planner::Problem& changed, const planner::SearchOptions& search,
                              const planner::PlanResult& after);

std::string what_if_text(const WhatIf& what_if);
nlohmann::json what_if_json(const WhatIf& what_if);

}  // namespace meshplan::cli
