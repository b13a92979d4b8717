#include "planner/uncertainty.h"

#include <gtest/gtest.h>

#include <cmath>

namespace meshplan::planner {
namespace {

using profiles::Seconds;

/// A step of one second, all compute, on a measured device under software of spread 0.1.
Prediction all_compute() {
  Prediction out;
  out.step = Seconds{1};
  out.terms.compute = Seconds{1};
  return out;
}

Problem measured_problem() {
  Problem out;
  out.profile.fitted = true;
  out.framework.spread = 0.1;
  return out;
}

TEST(StepInterval, IsSymmetricInTheLogarithm) {
  const Prediction step = all_compute();
  const Interval interval = step_interval(measured_problem(), Layout{}, step);
  EXPECT_LT(interval.low, step.step);
  EXPECT_NEAR(interval.low.count() * interval.high.count(), 1.0, 1e-12);
  // 80% of a normal distribution lies within 1.2816 standard deviations.
  const double spread = step_spread(measured_problem(), Layout{}, step);
  EXPECT_NEAR(std::log(interval.high.count()), 1.2816 * spread, 1e-12);
}

TEST(StepSpread, AddsTheFrameworkAndTheTermsInSquares) {
  // Framework 0.1 and a whole step of compute at 0.02: sqrt(0.0104).
  EXPECT_NEAR(step_spread(measured_problem(), Layout{}, all_compute()), std::sqrt(0.0104), 1e-12);
}

TEST(StepSpread, GrowsByAFixedPartWithEachDoublingOfTheNodes) {
  // 8 and 64 nodes of one device: three and six doublings of 0.2%, in squares.
  Problem problem = measured_problem();
  problem.cluster.devices_used_per_node = 1;
  const auto spread = [&](int nodes) {
    Layout layout;
    layout.dp = nodes;
    return step_spread(problem, layout, all_compute());
  };
  EXPECT_NEAR(spread(8), std::sqrt(0.0104 + 0.006 * 0.006), 1e-12);
  EXPECT_NEAR(spread(64), std::sqrt(0.0104 + 0.012 * 0.012), 1e-12);
}

TEST(StepSpread, GrowsWithWhatIsLessKnown) {
  const Prediction step = all_compute();
  const double base = step_spread(measured_problem(), Layout{}, step);
  Problem unknown = measured_problem();
  unknown.framework.known = false;
  EXPECT_GT(step_spread(unknown, Layout{}, step), base);
  Problem borrowed = measured_problem();
  borrowed.profile.fitted = false;
  EXPECT_GT(step_spread(borrowed, Layout{}, step), base);
  Problem low = measured_problem();
  low.workload.data_type = profiles::DataType::Fp8;
  EXPECT_GT(step_spread(low, Layout{}, step), base);
  // Communication is known less well than compute.
  Prediction half = step;
  half.terms.compute = half.terms.tp = Seconds{0.5};
  EXPECT_GT(step_spread(measured_problem(), Layout{}, half), base);
}

}  // namespace
}  // namespace meshplan::planner
