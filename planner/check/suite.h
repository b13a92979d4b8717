#pragma once
#include <string>
#include <vector>

#include "planner/evaluate/runs.h"
#include "planner/layout/layout_text.h"
#include "planner/problem.h"
#include "profiles/data_files.h"
#include "profiles/json_node.h"

namespace meshplan::planner {

/// A question whose best plan is held.
struct Question {
  std::string name;
  Problem problem;
  LayoutText fixed;         ///< keys that every layout must have
  double tolerance = 0.01;  ///< by which the best step may grow, relative
};

/// Recorded runs whose errors are held.
struct RecordedCases {
  std::string name;
  std::vector<RecordedRun> runs;
  double tolerance = 0.01;  ///< by which |predicted / measured - 1| may grow, absolute
};

/// What `check` holds against a baseline: schema meshplan.suite/1, docs/check.md.
struct Suite {
  std::vector<Question> questions;
  std::vector<RecordedCases> recorded;
};

/// Reads a suite; models, clusters and runs that it names as files lie relative to `folder`. Throws
/// InputError for whatever cannot be read: a gate leaves nothing out. Recorded runs are of
/// training.
Suite read_suite(const profiles::JsonNode& document, const std::string& folder,
                 const profiles::DataFiles& files);

}  // namespace meshplan::planner
