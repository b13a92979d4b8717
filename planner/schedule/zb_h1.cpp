#include "planner/schedule/zb_h1.h"

#include "planner/schedule/delayed_weight_grad.h"

namespace meshplan::planner {

DelayedWeightGrad zb_h1_rule(int stages, int stage) { return {stages - stage, stage}; }

ComputeOrder zb_h1(const PipelineShape& shape, int stage) {
  return delayed_weight_grad(shape, stage, zb_h1_rule(shape.stages, stage));
}

}  // namespace meshplan::planner
