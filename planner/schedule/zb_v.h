#pragma once
#include "planner/schedule/pipeline_shape.h"

namespace meshplan::planner {

/// Order of work on `stage` under ZB-V: two chunks a stage, the second one on the way back up, so
/// that the last chunk's backward starts on the stage that ran the first forward.
///
///   chunks:  stage 0: 0, 2p-1    stage 1: 1, 2p-2    ...    stage p-1: p-1, p  (the turn is local)
///
/// Stage 0 of 2, 3 micro-batches; a = chunk 0, b = chunk 3, B and W as in delayed_weight_grad.h:
///   Fa0 Fa1 Fa2 | Fb0 Bb0 Wb0  Fb1 Bb1 Wb1 | Ba0 Wa0 Fb2 Bb2 Wb2 | Ba1 Wa1  Ba2 Wa2
///                  warm-up                 |        steady       | drain
///
/// With r = stage: 2(p-r)-1 x Fa; r x {Fb Fa}; (p-r) x {Fb Bb Wb}; steady {Fa Ba Wa Fb Bb Wb};
/// r x {Ba Bb}; (p-r) x {Ba Wa}; the W that are left. Every stage holds at most p micro-batches (2p
/// chunk activations). Below 2p - 1 micro-batches the order is that of 2p - 1 without those that do
/// not exist.
/// Source: Qi et al., Pipeline Parallelism with Controllable Memory (NeurIPS 2024), V-schedules.
ComputeOrder zb_v(const PipelineShape& shape, int stage);

}  // namespace meshplan::planner
