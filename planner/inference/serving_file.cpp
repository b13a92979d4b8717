#include "planner/inference/serving_file.h"

#include <nlohmann/json.hpp>

#include "planner/layout/layout_text.h"
#include "planner/problem_json.h"

namespace meshplan::planner {
namespace {

using profiles::JsonNode;

Demand read_demand(const JsonNode& node) {
  node.refuse_unknown_keys({"batch", "concurrency", "length_spread"});
  if (const auto batch = node.find_value("batch")) return {Demand::Kind::Batch, batch->count()};
  const JsonNode users = node.at("concurrency");
  if (users.is_string()) {
    if (users.string() != "max") users.refuse("a number of users, or max");
    return {};
  }
  Demand out{Demand::Kind::Users, users.count()};
  if (const auto spread = node.find_value("length_spread")) {
    out.spread = spread->number();
    if (out.spread < 0 || out.spread >= 1) spread->refuse("a fraction from 0 to below 1");
  }
  return out;
}

}  // namespace

bool is_serving(const JsonNode& document) {
  const auto schema = document.find_value("schema");
  return schema && schema->is_string() && schema->string().starts_with("meshplan.serving/");
}

ServingFile read_serving(const JsonNode& document, const profiles::DataFiles& files) {
  document.require_schema("serving");
  document.refuse_unknown_keys({"schema", "model", "cluster", "workload", "profile", "engine",
                                "plans", "frontier", "search"});
  ServingFile out;
  Problem& problem = out.problem;
  read_model_and_cluster(document, files, problem);
  const JsonNode workload = document.at("workload");
  problem.workload.kind = Workload::Kind::Inference;
  problem.workload.prompt = workload.at("prompt").count();
  problem.workload.output = workload.at("output").count();
  const JsonNode dtype = workload.at("dtype");
  const auto type = profiles::data_type_from(dtype.string());
  if (!type) dtype.refuse("one of fp32, tf32, fp16, bf16, fp8, fp4");
  problem.workload.data_type = *type;
  problem.profile = profiles::load_profile(problem.cluster.device, files);
  if (const auto profile = document.find_value("profile")) {
    out.profile_sha256 = profile->at("sha256").string();
  }
  if (const auto engine = document.find_value("engine")) out.engine = engine->string();
  for (const JsonNode& plan : read_plans(document)) {
    const JsonNode layout = plan.at("layout");
    ServingFile::Plan one{layout_from_text(layout.string(), layout.where()), {}};
    if (const auto demand = plan.find_value("demand")) one.demand = read_demand(*demand);
    out.plans.push_back(one);
  }
  return out;
}

}  // namespace meshplan::planner
