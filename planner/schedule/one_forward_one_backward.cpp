#include "planner/schedule/one_forward_one_backward.h"

#include <algorithm>

namespace meshplan::planner {

ComputeOrder one_forward_one_backward(const PipelineShape& shape, int stage) {
  const int m = shape.microbatches;
  const int warm_up = std::min(shape.stages - stage - 1, m);
  ComputeOrder order;
  order.reserve(2 * static_cast<std::size_t>(m));
  for (int k = 0; k < warm_up; ++k) order.push_back(compute(Action::Forward, stage, k));
  for (int k = warm_up; k < m; ++k) {
    order.push_back(compute(Action::Forward, stage, k));
    order.push_back(compute(Action::Backward, stage, k - warm_up));
  }
  for (int k = m - warm_up; k < m; ++k) order.push_back(compute(Action::Backward, stage, k));
  return order;
}

}  // namespace meshplan::planner
