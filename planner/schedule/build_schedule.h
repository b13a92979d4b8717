#pragma once
#include <optional>
#include <string>
#include <vector>

#include "planner/schedule/pipeline_shape.h"
#include "planner/schedule/schedule.h"

namespace meshplan::planner {

struct ScheduleOptions {
  bool global_sync = true;    ///< every rank waits for the gradient norm before its optimizer step
  bool forward_only = false;  ///< inference: no backward, no collectives, no optimizer
  bool recompute = false;     ///< a Recompute right before every Backward or InputGrad
  /// Gradient buckets are reduced as soon as their chunk's last weight gradient is there; otherwise
  /// after all compute.
  bool overlap_gradient_reduce = false;
  int group_size = 0;  ///< interleaving: PipelineShape::group_size
  /// Facts of each chunk in model order (empty: none known, one gradient bucket each). `stage` is
  /// filled in by the builder.
  std::vector<ChunkFacts> chunks;
};

/// The schedule of `kind` for `stages` pipeline ranks of `chunks_per_stage` chunks. Throws
/// InputError for degrees that the kind cannot run (schedule_violation).
///
///   the order of compute of each stage (one generator a kind)  ->  lower.h  ->  Schedule
Schedule build_schedule(ScheduleKind kind, int stages, int chunks_per_stage, int microbatches,
                        const ScheduleOptions& options = {});

/// The order of compute of one stage, from the generator of `kind`.
ComputeOrder compute_order(ScheduleKind kind, const PipelineShape& shape, int stage);

/// Why `kind` cannot run these degrees, in words; none if it can.
std::optional<std::string> schedule_violation(ScheduleKind kind, const PipelineShape& shape,
                                              bool forward_only = false);

}  // namespace meshplan::planner
