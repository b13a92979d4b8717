#include "planner/uncertainty.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

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

TEST(OrderChance, WithoutAGapIsEven) {
  EXPECT_DOUBLE_EQ(
      order_chance(measured_problem(), Layout{}, all_compute(), Layout{}, all_compute()), 0.5);
}

TEST(OrderChance, OfStepsThatDifferInNothingGoesByWhatEachHasForItself) {
  // Both all compute, a gap of w0 = 0.02 in the logarithm: 1/2 + atan(1) / pi = 3/4.
  Prediction slower = all_compute();
  slower.step = slower.terms.compute = Seconds{std::exp(0.02)};
  const Problem problem = measured_problem();
  EXPECT_NEAR(order_chance(problem, Layout{}, all_compute(), Layout{}, slower), 0.75, 1e-12);
  EXPECT_NEAR(order_chance(problem, Layout{}, slower, Layout{}, all_compute()), 0.75, 1e-12);
  // The software's spread is shared, and turns nothing round.
  Problem vague = problem;
  vague.framework.spread = 0.5;
  EXPECT_NEAR(order_chance(vague, Layout{}, all_compute(), Layout{}, slower), 0.75, 1e-12);
}

TEST(OrderChance, FallsWithWhatDiffersBetweenTheTwo) {
  // A tenth of the step in collectives (spread 0.25) instead of compute (0.02), and 10% slower:
  // d = |(0.1 * 0.25, -0.1 * 0.02)|, w = |(0.02, 1.5 d)|.
  Prediction slower = all_compute();
  slower.step = Seconds{1.1};
  slower.terms.compute = 0.9 * slower.step;
  slower.terms.tp = 0.1 * slower.step;
  const double d = std::hypot(0.025, 0.002);
  const double w = std::hypot(0.02, 1.5 * d);
  EXPECT_NEAR(order_chance(measured_problem(), Layout{}, all_compute(), Layout{}, slower),
              0.5 + std::atan(std::log(1.1) / w) / std::numbers::pi, 1e-12);
}

}  // namespace
}  // namespace meshplan::planner
