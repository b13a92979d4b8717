#pragma once
#include <string>

#include "planner/explain/fleet.h"

namespace CLI {
class App;
}

namespace meshplan::cli {

/// Flags of `plan` that ask how many GPUs it takes. Strings as given.
struct FleetFlags {
  std::string deadline_days, tokens, max_dollars, dollars_per_gpu_hour;
  [[nodiscard]] bool asked() const {
    return !(deadline_days + tokens + max_dollars + dollars_per_gpu_hour).empty();
  }
};

void add_fleet_options(CLI::App& command, FleetFlags& flags);

/// Throws InputError for a number that is none, a flag that is missing, a budget without a price.
planner::FleetQuestion fleet_question(const FleetFlags& flags, const planner::Problem& problem);

/// Searches, prints and says with which code to exit; writes the plan of the chosen size to `out`
/// unless it is empty.
int answer_fleet(const planner::FleetQuestion& question, const planner::Problem& problem,
                 const planner::SearchOptions& search, bool as_json, const std::string& out);

}  // namespace meshplan::cli
