#pragma once
#include <vector>

#include "planner/schedule/schedule.h"

namespace meshplan::planner {

/// What the order of work on a pipeline depends on.
struct PipelineShape {
  int stages = 1;
  int chunks_per_stage = 1;
  int microbatches = 1;
  /// Interleaving only: micro-batches that pass through one chunk before the stage turns to its
  /// next one (N of Megatron's microbatch_group_size_per_vp_stage). At least `stages`; 0 means
  /// `stages`.
  int group_size = 0;

  [[nodiscard]] int group() const { return group_size > 0 ? group_size : stages; }
};

/// Stage that owns `chunk`: round robin, and for zb-v down the stages and up again.
constexpr int chunk_owner(ScheduleKind kind, int stages, int chunk) {
  if (kind == ScheduleKind::ZbV && chunk >= stages) return 2 * stages - 1 - chunk;
  return chunk % stages;
}

/// Chunk number `local` (0-based, in model order) of `stage`.
constexpr int chunk_on_stage(ScheduleKind kind, int stages, int stage, int local) {
  if (kind == ScheduleKind::ZbV && local == 1) return 2 * stages - 1 - stage;
  return local * stages + stage;
}

constexpr Instruction compute(Action action, int chunk, int microbatch) {
  return {.action = action, .chunk = chunk, .microbatch = microbatch};
}

/// The compute instructions of one stage in the order in which it runs them; what a generator
/// makes. Transfers, collectives and the optimizer are added by lower.h.
using ComputeOrder = std::vector<Instruction>;

}  // namespace meshplan::planner
