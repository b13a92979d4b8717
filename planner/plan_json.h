#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "planner/plan.h"
#include "planner/problem.h"
#include "planner/schedule/schedule.h"
#include "planner/simulate/timeline.h"
#include "profiles/data_files.h"
#include "profiles/json_node.h"

namespace meshplan::planner {

/// The document that `plan --json`, `predict --json` and `--out` write: schema meshplan.plan/1,
/// docs/file-formats.md. Self-contained: model config, cluster and workload are inside.
nlohmann::json plan_json(const Problem& problem, const PlanResult& result);

/// A timeline in figures, rank by rank: terms, bubble by cause, peak of activations; the critical
/// path.
nlohmann::json timeline_json(const Schedule& schedule, const Timeline& timeline);

/// A plan file read back: the question it answered, and the layouts of its answer.
struct PlanFile {
  Problem problem;
  std::vector<Layout> layouts;
  std::string profile_sha256;  ///< of the profile it was made with
  [[nodiscard]] bool profile_differs() const { return profile_sha256 != problem.profile.sha256; }
};
/// Throws InputError for another schema or version, a missing key, an illegal layout text.
PlanFile read_plan(const profiles::JsonNode& document, const profiles::DataFiles& files);

}  // namespace meshplan::planner
