#include "planner/schedule/zb_h2.h"

#include "planner/schedule/delayed_weight_grad.h"

namespace meshplan::planner {

DelayedWeightGrad zb_h2_rule(int stages, int stage) {
  return {2 * (stages - stage) - 1, 2 * stage};
}

ComputeOrder zb_h2(const PipelineShape& shape, int stage) {
  return delayed_weight_grad(shape, stage, zb_h2_rule(shape.stages, stage));
}

}  // namespace meshplan::planner
