#pragma once
#include "planner/schedule/pipeline_shape.h"

namespace meshplan::planner {

/// The two numbers that make ZB-H1 and ZB-H2 out of one rule: split the backward in B (gradient of
/// the input, which the stage before waits for) and W (gradient of the weights, for which nobody
/// waits), and use W to fill the bubble.
///
///   `forwards_first` x F;
///   then B, [an older W if more than `weight_grads_held` wait], F  until the forwards end;
///   then B W in turn; then what is left of W.
struct DelayedWeightGrad {
  int forwards_first = 1;
  int weight_grads_held = 0;
};

DelayedWeightGrad zb_h1_rule(int stages, int stage);
DelayedWeightGrad zb_h2_rule(int stages, int stage);

ComputeOrder delayed_weight_grad(const PipelineShape& shape, int stage,
                                 const DelayedWeightGrad& rule);

}  // namespace meshplan::planner
