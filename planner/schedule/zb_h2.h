#pragma once
#include "planner/schedule/pipeline_shape.h"

namespace meshplan::planner {

/// Order of work on `stage` under ZB-H2: twice the activations of ZB-H1, no bubble between steps
/// that do not wait for each other. B = gradient of the input, W = of the weights
/// (delayed_weight_grad.h).
///
/// Stage 1 of 3, 6 micro-batches:
///   F0 F1 F2 | B0 F3  B1 F4  B2 W0 F5 | B3 W1  B4 W2  B5 W3  W4 W5
///    warm-up |         steady         | drain
///
/// Every stage holds at most min(m, 2p - 1) micro-batches from F to W: 2 (p - stage) - 1 that wait
/// for B and 2 stage that wait for W.
/// Source: Qi et al., Zero Bubble Pipeline Parallelism (ICLR 2024), section 2.2.
ComputeOrder zb_h2(const PipelineShape& shape, int stage);

}  // namespace meshplan::planner
