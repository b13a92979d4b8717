#pragma once
#include "planner/schedule/pipeline_shape.h"

namespace meshplan::planner {

/// Order of work on `stage` in inference: the micro-batches one after the other, chunk by chunk in
/// groups where a stage owns several. `kind` says only which chunks a stage owns.
///
/// 3 stages, 4 micro-batches:
///   stage 0   F0 F1 F2 F3
///   stage 1    . F0 F1 F2 F3
///   stage 2    .  . F0 F1 F2 F3
///         warm-up | steady | drain
///
/// Nothing is kept for a backward: one micro-batch is live at a time.
ComputeOrder forward_only(ScheduleKind kind, const PipelineShape& shape, int stage);

}  // namespace meshplan::planner
