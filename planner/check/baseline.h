#pragma once
#include <map>
#include <optional>
#include <string>

#include "planner/check/suite.h"
#include "profiles/json_node.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// The best plan of a question.
struct BestPlan {
  std::string layout;
  profiles::Seconds step{0};
};

/// How one recorded run is predicted. None: not measured, or not predicted.
struct RunErrors {
  std::optional<double> time, memory;  ///< predicted / measured - 1
  std::optional<bool> said_to_run;     ///< whether the layout is predicted to run
  bool ran = true;                     ///< whether it did
  [[nodiscard]] bool right() const { return !said_to_run || *said_to_run == ran; }
};

/// What a suite's questions and recorded runs gave at one time. Written to a file it is the
/// baseline of later times: schema meshplan.baseline/1, docs/check.md.
struct Baseline {
  std::map<std::string, std::optional<BestPlan>> questions;  ///< by name; none: nothing fits
  std::map<std::string, std::map<std::string, RunErrors>> recorded;  ///< by name, by id of the run
};

/// Answers every question and predicts every run of `suite`.
Baseline answers(const Suite& suite);

/// Throws InputError for another schema, an unknown key, or a figure that cannot be one.
Baseline read_baseline(const profiles::JsonNode& document);
/// The file, ready to be reviewed: sorted by name, figures rounded to six digits.
std::string baseline_text(const Baseline& baseline);

}  // namespace meshplan::planner
