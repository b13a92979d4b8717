#include "planner/schedule/delayed_weight_grad.h"

#include <algorithm>

namespace meshplan::planner {

ComputeOrder delayed_weight_grad(const PipelineShape& shape, int stage,
                                 const DelayedWeightGrad& rule) {
  const int m = shape.microbatches;
  const int first = std::min(m, rule.forwards_first);
  ComputeOrder order;
  order.reserve(3 * static_cast<std::size_t>(m));
  int forward = 0, input = 0, weight = 0;  // micro-batches done of each kind
  while (forward < first) order.push_back(compute(Action::Forward, stage, forward++));
  while (forward < m) {
    order.push_back(compute(Action::InputGrad, stage, input++));
    if (input - weight > rule.weight_grads_held) {
      order.push_back(compute(Action::WeightGrad, stage, weight++));
    }
    order.push_back(compute(Action::Forward, stage, forward++));
  }
  while (input < m) {
    order.push_back(compute(Action::InputGrad, stage, input++));
    order.push_back(compute(Action::WeightGrad, stage, weight++));
  }
  while (weight < m) order.push_back(compute(Action::WeightGrad, stage, weight++));
  return order;
}

}  // namespace meshplan::planner
