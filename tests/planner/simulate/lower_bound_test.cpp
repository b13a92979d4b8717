// The bound that the search prunes with never exceeds the simulated step: then candidates that are
// simulated in order of their bound give the best one exactly.
#include <gtest/gtest.h>

#include "planner/schedule/bounds.h"
#include "planner/simulate/simulate.h"
#include "tests/planner/simulate/random_case.h"

namespace meshplan::planner {
namespace {

void expect_bound(Links links, unsigned first_seed, unsigned cases) {
  Simulator simulator;
  double tightness = 0;
  for (unsigned seed = first_seed; seed < first_seed + cases; ++seed) {
    const auto [schedule, costs] = random_case(seed, links);
    const double step = simulator.step(schedule, costs).step.count();
    const double bound =
        step_lower_bound(schedule.kind, costs, schedule.stages, schedule.chunks_per_stage,
                         schedule.microbatches, schedule.global_sync)
            .count();
    ASSERT_LE(bound, step * (1 + 1e-12))
        << "seed " << seed << ", kind " << static_cast<int>(schedule.kind) << ", stages "
        << schedule.stages << ", micro-batches " << schedule.microbatches << ", barrier "
        << schedule.global_sync;
    tightness += bound / step / cases;
  }
  // A bound of nothing would pass too. Half of the step on average is far below what it reaches.
  EXPECT_GT(tightness, 0.5);
}

TEST(StepLowerBound, NeverAboveTheSimulatedStep) { expect_bound(Links::None, 0, 6000); }

TEST(StepLowerBound, NeverAboveTheSimulatedStepWhenLinksAreShared) {
  expect_bound(Links::Shared, 100000, 3000);
}

}  // namespace
}  // namespace meshplan::planner
