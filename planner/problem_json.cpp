#include "planner/problem_json.h"

#include <nlohmann/json.hpp>

#include "planner/model/config.h"
#include "profiles/cluster_json.h"

namespace meshplan::planner {

using profiles::JsonNode;

void read_model_and_cluster(const JsonNode& document, const profiles::DataFiles& files,
                            Problem& problem) {
  const JsonNode model = document.at("model");
  problem.model = read_config(model.at("config"), model.at("name").string());
  problem.model_config = model.at("config").raw().dump();
  const JsonNode cluster = document.at("cluster");
  problem.cluster = profiles::read_cluster(cluster, files, cluster.at("name").string());
}

std::vector<JsonNode> read_plans(const JsonNode& document) {
  std::vector<JsonNode> plans = document.at("plans").elements();
  if (plans.empty()) document.at("plans").refuse("at least one plan");
  return plans;
}

}  // namespace meshplan::planner
