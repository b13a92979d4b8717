#include "planner/schedule/zb_v.h"

#include <algorithm>

namespace meshplan::planner {
namespace {

/// Counts what has been issued on one of the two chunks, and leaves out micro-batches that only
/// pad the order.
struct Lane {
  int chunk = 0;
  int forward = 0, input = 0, weight = 0;
};

}  // namespace

ComputeOrder zb_v(const PipelineShape& shape, int stage) {
  const int p = shape.stages;
  const int m = shape.microbatches;
  const int padded = std::max(m, 2 * p - 1);
  Lane a{.chunk = stage};
  Lane b{.chunk = 2 * p - 1 - stage};
  ComputeOrder order;
  order.reserve(6 * static_cast<std::size_t>(m));
  const auto issue = [&](Action action, const Lane& lane, int microbatch) {
    if (microbatch < m) order.push_back(compute(action, lane.chunk, microbatch));
  };
  const auto f = [&](Lane& lane) { issue(Action::Forward, lane, lane.forward++); };
  const auto d = [&](Lane& lane) { issue(Action::InputGrad, lane, lane.input++); };
  const auto w = [&](Lane& lane) { issue(Action::WeightGrad, lane, lane.weight++); };
  const auto f_d_w = [&](Lane& lane) {
    f(lane);
    d(lane);
    w(lane);
  };

  for (int k = 0; k < 2 * (p - stage) - 1; ++k) f(a);
  for (int k = 0; k < stage; ++k) {
    f(b);
    f(a);
  }
  for (int k = 0; k < p - stage; ++k) f_d_w(b);
  while (b.forward < padded) {
    if (a.forward < padded) f(a);
    d(a);
    w(a);
    f_d_w(b);
  }
  for (int k = 0; k < stage; ++k) {
    d(a);
    d(b);
  }
  for (int k = 0; k < p - stage; ++k) {
    d(a);
    w(a);
  }
  while (b.weight < padded) w(b);
  while (a.weight < padded) w(a);
  return order;
}

}  // namespace meshplan::planner
