#pragma once
#include "planner/schedule/pipeline_shape.h"

namespace meshplan::planner {

/// Order of work on `stage` under ZB-H1: the memory of 1F1B's first stage on every stage, about a
/// third of its bubble. B = gradient of the input, W = of the weights (delayed_weight_grad.h).
///
/// Stage 1 of 3, 4 micro-batches:   F0 F1 | B0 F2  B1 W0 F3 | B2 W1  B3 W2  W3
///                                warm-up |      steady     | drain
///
/// Every stage holds at most min(m, p) micro-batches from F to W: p - stage that wait for B and
/// `stage` that wait for W.
/// Source: Qi et al., Zero Bubble Pipeline Parallelism (ICLR 2024), section 2.1.
ComputeOrder zb_h1(const PipelineShape& shape, int stage);

}  // namespace meshplan::planner
