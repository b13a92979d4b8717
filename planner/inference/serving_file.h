#pragma once
#include <string>
#include <vector>

#include "planner/inference/predict_inference.h"
#include "planner/problem.h"
#include "profiles/data_files.h"
#include "profiles/json_node.h"

namespace meshplan::planner {

/// Whether a document says that it is a file of `plan --inference` or `predict --inference`.
bool is_serving(const profiles::JsonNode& document);

/// Such a file read back: the question, and the layouts of its answer with what each serves.
struct ServingFile {
  Problem problem;  ///< its workload without demand
  std::string engine;
  struct Plan {
    Layout layout;
    Demand demand;
  };
  std::vector<Plan> plans;
  std::string profile_sha256;  ///< of the profile it was made with
};
/// Throws InputError for another schema or version, a missing key, an illegal layout text.
ServingFile read_serving(const profiles::JsonNode& document, const profiles::DataFiles& files);

}  // namespace meshplan::planner
