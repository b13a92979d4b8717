#pragma once
#include <optional>
#include <string>

#include "cli/run_options.h"
#include "planner/layout/layout.h"
#include "planner/problem.h"
#include "planner/schedule/schedule.h"
#include "profiles/units.h"
#include "runtime/execute/training.h"
#include "runtime/measure/measurement.h"

/// What `run` is asked, before anything runs.
namespace meshplan::cli {

/// What the flags ask for, read before anything is loaded.
struct RunSettings {
  std::optional<runtime::Mode> mode;
  std::optional<double> tolerance;
  int steps = 5;
  profiles::Seconds timeout{60};
};
/// Throws InputError.
RunSettings settings_from(const RunOptions& options);

struct RunQuestion {
  planner::Problem problem;
  planner::Layout layout;
  std::string plan;  ///< the plan file, with this plan alone
};
/// Throws InputError.
RunQuestion question_from(const RunOptions& options);

/// Throws InputError for what no rank can run: a layout that breaks a rule, or a data type that
/// ranks on cores (`on_cores`) have no kernels for.
void refuse_unrunnable(const RunQuestion& question, const RunOptions& options, bool on_cores);

runtime::Training training_of(const RunQuestion& question, const planner::Schedule& schedule,
                              int steps);

}  // namespace meshplan::cli
