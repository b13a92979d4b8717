#pragma once
#include "planner/problem.h"
#include "profiles/data_files.h"
#include "profiles/json_node.h"

namespace meshplan::planner {

/// The part of a question that plans of training and of serving write alike: "model" with its
/// config, and "cluster". Anything missing or wrong is refused with its place.
void read_model_and_cluster(const profiles::JsonNode& document, const profiles::DataFiles& files,
                            Problem& problem);

/// The nodes of "plans", of which there must be one.
std::vector<profiles::JsonNode> read_plans(const profiles::JsonNode& document);

}  // namespace meshplan::planner
