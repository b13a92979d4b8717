#pragma once
#include "planner/schedule/pipeline_shape.h"

namespace meshplan::planner {

/// Order of work on `stage` under 1F1B with a flush: as few forwards ahead as keep the last stage
/// busy, then one forward and one backward in turn.
///
/// Stage 1 of 3, 4 micro-batches:   F0 | F1 B0  F2 B1  F3 B2 | B3
///                             warm-up |    steady state     | drain
///
/// At most min(stages - stage, microbatches) micro-batches hold activations on this stage at once;
/// the memory model relies on that bound.
/// Source: PipeDream-Flush, Narayanan et al. (ICML 2021); Megatron-LM (SC 2021), section 2.2.
ComputeOrder one_forward_one_backward(const PipelineShape& shape, int stage);

}  // namespace meshplan::planner
