#pragma once
#include "planner/schedule/pipeline_shape.h"

namespace meshplan::planner {

/// Order of work on `stage` under GPipe: every forward, then every backward, the last micro-batch
/// first (its activations are the hottest).
///
/// 3 stages, 3 micro-batches (F = B for the picture):
///   stage 0   F0 F1 F2  .  .  .  . B2 B1 B0
///   stage 1    . F0 F1 F2  .  . B2 B1 B0  .
///   stage 2    .  . F0 F1 F2 B2 B1 B0  .  .
///             warm-up and steady | drain
///
/// All m micro-batches hold activations on every stage at once.
/// Source: Huang et al., GPipe (NeurIPS 2019), figure 2.
ComputeOrder gpipe(const PipelineShape& shape, int stage);

}  // namespace meshplan::planner
