#include "planner/explain/fleet.h"

#include <gtest/gtest.h>

#include "tests/support/problems.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;
using test::training_problem;

Problem small() { return training_problem("gpt2", "l40s-pcie", 1024, 96); }

Seconds best_time(const Problem& problem, int nodes, std::int64_t steps) {
  SearchOptions options;
  options.top = 1;
  options.mend_miss = false;
  const PlanResult found = search(resized(problem, nodes), options);
  return found.plans.empty() ? Seconds{0}
                             : static_cast<double>(steps) * found.plans.front().prediction.step;
}

TEST(SmallestFleet, StepsAreTheTokensOverThoseOfAStep) {
  // 96 * 1024 = 98,304 tokens a step; 1e9 / 98,304 = 10,172.5.
  const FleetAnswer answer = smallest_fleet(small(), {1e9, Seconds{86400}, {}, {}}, {});
  EXPECT_EQ(answer.steps, 10'173);
}

TEST(SmallestFleet, OneNodeWhereOneIsEnough) {
  const FleetAnswer answer = smallest_fleet(small(), {1e6, Seconds{86400}, {}, {}}, {});
  ASSERT_TRUE(answer.chosen);
  EXPECT_EQ(answer.sizes[*answer.chosen].nodes, 1);
  EXPECT_EQ(answer.least_nodes, 1);
  EXPECT_EQ(answer.sizes.size(), 1);
}

TEST(SmallestFleet, IsTheFirstOfAllSizesThatIsInTime) {
  const Problem problem = small();
  // What five nodes take, and a second: sizes up to 7 are all tried, so the answer is exact.
  const std::int64_t steps = 100'000;
  const double tokens = static_cast<double>(steps) * 96 * 1024;
  const Seconds deadline = best_time(problem, 4, steps) + Seconds{1};
  const FleetAnswer answer = smallest_fleet(problem, {tokens, deadline, {}, {}}, {});
  int first = 0;
  for (int nodes = 1; nodes <= 4 && first == 0; ++nodes) {
    const Seconds time = best_time(problem, nodes, steps);
    if (time > Seconds{0} && time <= deadline) first = nodes;
  }
  ASSERT_TRUE(answer.chosen);
  EXPECT_EQ(answer.sizes[*answer.chosen].nodes, first);
}

TEST(SmallestFleet, FewerThanTheLeastNodesAreNeverInTime) {
  const Problem problem = small();
  const std::int64_t steps = 100'000;
  const double tokens = static_cast<double>(steps) * 96 * 1024;
  const Seconds deadline = 0.1 * best_time(problem, 4, steps);
  const FleetAnswer answer = smallest_fleet(problem, {tokens, deadline, {}, {}}, {});
  ASSERT_GT(answer.least_nodes, 1);
  for (int nodes = 1; nodes < answer.least_nodes; ++nodes) {
    const Seconds time = best_time(problem, nodes, steps);
    EXPECT_TRUE(time == Seconds{0} || time > deadline) << nodes;
  }
}

TEST(SmallestFleet, SizesAreOrderedAndTheSmallerOnesDoNotDo) {
  const FleetAnswer answer = smallest_fleet(small(), {3e11, Seconds{2 * 86400}, {}, 1.5}, {});
  ASSERT_TRUE(answer.chosen);
  for (std::size_t i = 0; i < answer.sizes.size(); ++i) {
    const FleetSize& size = answer.sizes[i];
    if (i > 0) {
      EXPECT_GT(size.nodes, answer.sizes[i - 1].nodes);
    }
    if (i < *answer.chosen) {
      EXPECT_FALSE(size.meets());
    }
    if (!size.plan) continue;
    // Dollars: devices, hours, dollars an hour.
    EXPECT_DOUBLE_EQ(*size.dollars,
                     static_cast<double>(size.devices) * size.time.count() / 3600 * 1.5);
    EXPECT_EQ(size.time, static_cast<double>(answer.steps) * size.plan->prediction.step);
  }
}

TEST(SmallestFleet, ABudgetThatNoSizeKeepsIsNo) {
  const FleetAnswer answer = smallest_fleet(small(), {3e11, Seconds{30 * 86400}, 1.0, 1.5}, {});
  EXPECT_FALSE(answer.chosen);
  ASSERT_FALSE(answer.sizes.empty());
  EXPECT_TRUE(answer.sizes.front().in_time);
  EXPECT_FALSE(answer.sizes.front().in_budget);
}

TEST(SmallestFleet, EndsWhereMoreNodesDoNotHelp) {
  // One sequence of 1024 tokens a step: no number of nodes runs ten billion steps in a second.
  const Problem problem = training_problem("gpt2", "l40s-pcie", 1024, 1);
  const FleetAnswer answer = smallest_fleet(problem, {1e13, Seconds{1e6}, {}, {}}, {});
  EXPECT_FALSE(answer.chosen);
  EXPECT_LT(answer.sizes.size(), 60);
}

}  // namespace
}  // namespace meshplan::planner
