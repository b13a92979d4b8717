#pragma once
#include <string>

#include "planner/inference/predict_inference.h"
#include "planner/inference/step_time.h"
#include "planner/layout/layout_text.h"
#include "planner/model/config.h"
#include "planner/problem.h"
#include "profiles/cluster_load.h"
#include "profiles/data_files.h"
#include "profiles/engine.h"

namespace meshplan::test {

/// A serving problem from presets.
inline planner::Problem serving_problem(const std::string& model, const std::string& cluster,
                                        profiles::DataType type, int prompt, int output) {
  const profiles::DataFiles files;
  planner::Problem out;
  out.model = planner::load_model(model, files);
  out.cluster = profiles::load_cluster(cluster, files);
  out.profile = profiles::load_profile(out.cluster.device, files);
  out.workload.kind = planner::Workload::Kind::Inference;
  out.workload.data_type = type;
  out.workload.prompt = prompt;
  out.workload.output = output;
  return out;
}

inline profiles::Engine engine(const std::string& name) { return profiles::load_engine(name, {}); }

/// What `layout` serves of `demand`.
inline planner::InferencePrediction served(const planner::Problem& problem,
                                           const std::string& engine_name,
                                           const std::string& layout_text,
                                           const planner::Demand& demand) {
  const profiles::Engine habits = engine(engine_name);
  const planner::Layout layout = planner::layout_from_text(layout_text);
  planner::StepPrices prices(problem, habits, layout);
  return predict_inference(prices, problem, habits, layout, demand);
}

}  // namespace meshplan::test
