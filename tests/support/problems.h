#pragma once
#include <string>

#include "planner/model/config.h"
#include "planner/problem.h"
#include "profiles/cluster_load.h"
#include "profiles/data_files.h"

namespace meshplan::test {

/// A training problem from presets, as the command line would state it.
inline planner::Problem training_problem(const std::string& model, const std::string& cluster,
                                         int seq_len, int global_batch,
                                         const std::string& framework = "") {
  const profiles::DataFiles files;
  planner::Problem out;
  out.model = planner::load_model(model, files);
  out.model_config = files.at("models", model, "model").shown();
  out.cluster = profiles::load_cluster(cluster, files);
  out.workload.seq_len = seq_len;
  out.workload.global_batch = global_batch;
  out.framework = profiles::load_framework(framework, files);
  out.profile = profiles::load_profile(out.cluster.device, files);
  return out;
}

}  // namespace meshplan::test
