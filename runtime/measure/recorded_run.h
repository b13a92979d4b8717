#pragma once
#include <vector>

#include "planner/fit/refit.h"
#include "planner/layout/layout.h"
#include "planner/problem.h"
#include "profiles/data_files.h"
#include "profiles/json_node.h"
#include "runtime/measure/measurement.h"

namespace meshplan::runtime {

/// A measurement with the plan that ran, so that it can be predicted again.
struct RecordedRun {
  Measurement measurement;
  planner::Problem problem;
  planner::Layout layout;
};

/// What `run --out` wrote; the profile comes from `files`. Throws InputError, also for a
/// measurement without its plan.
RecordedRun read_recorded_run(const profiles::JsonNode& document, const profiles::DataFiles& files);

/// `problem` with its profile corrected by `factors`; on CPU ranks also the bandwidth between them,
/// which is the device's. On GPUs collectives are not the profile's, and stay.
planner::Problem corrected(planner::Problem problem, const planner::RefitFactors& factors);

/// The step that is predicted with the profile so corrected.
profiles::Seconds predicted_step(const RecordedRun& run, const planner::RefitFactors& factors = {});

/// The run as rows to be fitted, half of their weight on the step, half on its parts: the times of
/// instructions, and of communication where it was measured. What a class takes is found by making
/// it slower. In a replayed run communication is the prediction's own, and counts as fixed.
std::vector<planner::RefitRow> refit_rows(const RecordedRun& run);

}  // namespace meshplan::runtime
