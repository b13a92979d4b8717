#include "planner/simulate/critical_path.h"

#include <gtest/gtest.h>

#include "planner/simulate/instruction_label.h"
#include "planner/simulate/simulate.h"
#include "planner/simulate/terms.h"
#include "planner/simulate/waits.h"
#include "tests/planner/simulate/random_case.h"
#include "tests/planner/simulate/uniform_costs.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

std::vector<std::string> labels(const Schedule& schedule, const CriticalPath& path) {
  std::vector<std::string> out;
  for (const CriticalSegment& s : path.segments)
    out.push_back(s.instruction < 0 ? "gap"
                                    : instruction_label(schedule.programs[s.rank][s.instruction]));
  return out;
}

// 1F1B, two stages, two micro-batches; the second stage is twice as slow and therefore never waits
// once it has started.
TEST(CriticalPath, RunsThroughTheSlowStage) {
  const Schedule schedule = build_schedule(ScheduleKind::OneFOneB, 2, 1, 2);
  ScheduleCosts costs = uniform_costs(schedule, {2, 2, 2}, 0, 1);
  costs.chunks[1].forward.compute = Seconds{4};
  costs.chunks[1].input_grad.compute = Seconds{8};
  costs.chunks[1].forward.tp = Seconds{0.5};
  const CriticalPath path = critical_path(schedule, simulate(schedule, costs), 0);
  EXPECT_EQ(labels(schedule, path),
            (std::vector<std::string>{"F0,0", "send F0,0", "F1,0", "B1,0", "F1,1", "B1,1",
                                      "send B1,1", "B0,1"}));
  EXPECT_EQ(path.terms.compute, Seconds{2 + 2 * (4 + 10) + 4});
  EXPECT_EQ(path.terms.tp, Seconds{1});
  EXPECT_EQ(path.terms.pp, Seconds{2});
  EXPECT_EQ(path.terms.bubble, Seconds{0});
}

TEST(CriticalPath, PassesThroughBucketsAndTheBarrier) {
  ScheduleOptions options;
  options.overlap_gradient_reduce = true;
  options.chunks.resize(2);
  for (auto& facts : options.chunks) facts.gradient_buckets = 2;
  const Schedule schedule = build_schedule(ScheduleKind::OneFOneB, 2, 1, 1, options);
  ScheduleCosts costs = uniform_costs(schedule, {3, 4, 2});
  costs.overlap_gradient_reduce = true;
  costs.chunks[0].gradient_reduce = costs.chunks[1].gradient_reduce = {Seconds{1}, Seconds{2}};
  costs.chunks[1].gradient_reduce[0] = Seconds{30};
  costs.stages[1].optimizer = Seconds{1};
  costs.stages[1].sync = Seconds{0.5};
  // F0 0-3, F1 3-6, B1 6-12; stage 1's first bucket is ready at 9 and holds the second up: 9-39-41.
  const CriticalPath path = critical_path(schedule, simulate(schedule, costs), 0);
  // The free transfer has no length and does not show.
  EXPECT_EQ(labels(schedule, path),
            (std::vector<std::string>{"F0,0", "F1,0", "B1,0", "G1,0", "G1,1", "S"}));
  EXPECT_EQ(path.segments[2].end, Seconds{9});
  EXPECT_EQ(path.terms.compute, Seconds{9});
  EXPECT_EQ(path.terms.dp, Seconds{30 + 2 + 0.5});
}

// 1F1B on two stages, forward 3, backward 6, hop 1: F0 0-3, F1 4-7, B1 7-13, B0 14-20.
TEST(WaitsOf, NamesTheTransferOrTheRankThatIsLate) {
  const Schedule schedule = build_schedule(ScheduleKind::OneFOneB, 2, 1, 1);
  const Timeline timeline = simulate(schedule, uniform_costs(schedule, {3, 4, 2}, 1, 0), 1);
  const auto cause = [&](const RankWait& wait) {
    return instruction_label(schedule.programs[wait.on_rank][wait.on_instruction]);
  };
  const auto first = waits_of(schedule, timeline, 0);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].start, Seconds{3});
  EXPECT_EQ(first[0].end, Seconds{14});
  EXPECT_EQ(cause(first[0]), "send B1,0");
  const auto second = waits_of(schedule, timeline, 1);
  ASSERT_EQ(second.size(), 2u);
  EXPECT_EQ(second[0].end, Seconds{4});
  EXPECT_EQ(cause(second[0]), "send F0,0");
  EXPECT_EQ(second[1].start, Seconds{13});  // at the barrier
  EXPECT_EQ(second[1].end, Seconds{20});
  EXPECT_EQ(second[1].on_rank, 0);
  EXPECT_EQ(cause(second[1]), "B0,0");
}

// Waits and work of a rank fill its timeline, and every wait has a cause.
TEST(WaitsOf, EveryWaitHasACause) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    const auto [schedule, costs] = random_case(seed, seed % 2 == 0 ? Links::None : Links::Shared);
    const Timeline timeline = simulate(schedule, costs);
    for (int rank = 0; rank < timeline.ranks; ++rank) {
      Seconds idle{0}, busy{0}, last{0};
      for (const RankWait& wait : waits_of(schedule, timeline, rank)) {
        ASSERT_GE(wait.on_instruction, 0) << seed;
        idle += wait.end - wait.start;
      }
      for (const Span& span : spans_of(timeline, rank))
        if (span.stream == Stream::Compute) {
          busy += span.end - span.start;
          last = span.end;
        }
      ASSERT_NEAR((idle + busy).count(), last.count(), 1e-9) << seed;
    }
  }
}

// Whatever the schedule: segments join without gaps from the beginning of the step to its end.
TEST(CriticalPath, CoversTheStep) {
  for (unsigned seed = 0; seed < 1500; ++seed) {
    const auto [schedule, costs] = random_case(seed, seed % 2 == 0 ? Links::None : Links::Shared);
    const Timeline timeline = simulate(schedule, costs);
    for (int step = 0; step < 2; ++step) {
      const Window window = period_of(timeline, step_terms(timeline, step).rank, step);
      const CriticalPath path = critical_path(schedule, timeline, step);
      ASSERT_FALSE(path.segments.empty()) << seed;
      ASSERT_EQ(path.segments.front().start, window.start) << seed;
      ASSERT_EQ(path.segments.back().end, window.end) << seed;
      for (std::size_t i = 0; i < path.segments.size(); ++i) {
        ASSERT_GE(path.segments[i].instruction, 0) << seed << " step " << step << " segment " << i;
        if (i == 0) continue;
        ASSERT_EQ(path.segments[i].start, path.segments[i - 1].end) << seed;
      }
      ASSERT_NEAR(path.terms.sum().count(), window.length().count(), 1e-9) << seed;
      ASSERT_NEAR(path.terms.bubble.count(), 0, 1e-9) << seed;
    }
  }
}

}  // namespace
}  // namespace meshplan::planner
