#include "planner/schedule/gpipe.h"

namespace meshplan::planner {

ComputeOrder gpipe(const PipelineShape& shape, int stage) {
  const int m = shape.microbatches;
  ComputeOrder order;
  order.reserve(2 * static_cast<std::size_t>(m));
  for (int k = 0; k < m; ++k) order.push_back(compute(Action::Forward, stage, k));
  for (int k = m - 1; k >= 0; --k) order.push_back(compute(Action::Backward, stage, k));
  return order;
}

}  // namespace meshplan::planner
