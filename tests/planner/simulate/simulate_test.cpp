// What the simulator promises whatever the schedule: by hand on two stages, invariants on random
// schedules with uneven stages, collectives inside, transfers, gradient buckets, gathers and
// barriers.
#include "planner/simulate/simulate.h"

#include <gtest/gtest.h>

#include "planner/simulate/contended.h"
#include "planner/simulate/terms.h"
#include "planner/simulate/uncontended.h"
#include "profiles/input_error.h"
#include "tests/planner/simulate/random_case.h"
#include "tests/planner/simulate/uniform_costs.h"

namespace meshplan::planner {

// Found by argument-dependent lookup; every field, to the last bit.
bool operator==(const Span& a, const Span& b) {
  return a.rank == b.rank && a.instruction == b.instruction && a.step == b.step &&
         a.stream == b.stream && a.term == b.term && a.start == b.start && a.end == b.end;
}
bool operator==(const Terms& a, const Terms& b) {
  return a.compute == b.compute && a.optimizer == b.optimizer && a.tp == b.tp && a.cp == b.cp &&
         a.ep == b.ep && a.dp == b.dp && a.pp == b.pp && a.overhead == b.overhead &&
         a.bubble == b.bubble;
}

namespace {

using profiles::Seconds;
constexpr unsigned kCases = 1500;

/// Two stages, one micro-batch: forward 3, input gradient 4, weight gradient 2.
struct TwoStages {
  Schedule schedule;
  ScheduleCosts costs;
  explicit TwoStages(int buckets = 0, bool overlap = false, int gathers = 0) {
    ScheduleOptions options;
    options.overlap_gradient_reduce = overlap;
    options.chunks.resize(2);
    for (ChunkFacts& facts : options.chunks) {
      facts.gradient_buckets = buckets;
      facts.gather_buckets = gathers;
    }
    schedule = build_schedule(ScheduleKind::OneFOneB, 2, 1, 1, options);
    costs = uniform_costs(schedule, {3, 4, 2});
    costs.overlap_gradient_reduce = overlap;
  }
  [[nodiscard]] SimulatedStep step() const { return simulate_step(schedule, costs); }
};

TEST(Simulate, OptimizerAndNormFollowTheBarrier) {
  TwoStages two;
  two.costs.stages[0].optimizer = Seconds{5};
  two.costs.stages[1].optimizer = Seconds{1};
  two.costs.stages[0].sync = two.costs.stages[1].sync = Seconds{0.5};
  // Optimizer 5, F0 3, F1 3, B1 6, B0 6, norm 0.5; rank 1 is not on the way with its optimizer.
  const SimulatedStep step = two.step();
  EXPECT_EQ(step.step, Seconds{23.5});
  EXPECT_EQ(step.rank, 0);
  EXPECT_EQ(step.terms.optimizer, Seconds{5});
  EXPECT_EQ(step.terms.compute, Seconds{9});
  EXPECT_EQ(step.terms.dp, Seconds{0.5});
  EXPECT_EQ(step.terms.bubble, Seconds{9});  // F1 and B1
  EXPECT_EQ(step.busy, (std::vector{Seconds{14}, Seconds{10}}));
}

TEST(Simulate, GradientBucketsFollowTheLastBackward) {
  TwoStages two(2, false);
  for (auto& chunk : two.costs.chunks) chunk.gradient_reduce = {Seconds{1}, Seconds{2}};
  // F0 3, F1 3, B1 6, B0 6, then both buckets: 18 + 3.
  EXPECT_EQ(two.step().step, Seconds{21});
  EXPECT_EQ(two.step().terms.dp, Seconds{3});
}

TEST(Simulate, OverlappedBucketsAreReadyAlongTheLastBackward) {
  TwoStages two(2, true);
  for (auto& chunk : two.costs.chunks) chunk.gradient_reduce = {Seconds{1}, Seconds{2}};
  // B0 runs from 12 to 18; bucket 0 is ready at 15, done at 16; bucket 1 from 18 to 20.
  EXPECT_EQ(two.step().step, Seconds{20});
  EXPECT_EQ(two.step().terms.dp, Seconds{2});
  // Bucket 0 from 15 to 19.5 holds bucket 1 up until 21.5.
  two.costs.chunks[0].gradient_reduce[0] = Seconds{4.5};
  EXPECT_EQ(two.step().step, Seconds{21.5});
}

TEST(Simulate, GathersComeBeforeAnyCompute) {
  TwoStages two(0, false, 2);
  for (auto& chunk : two.costs.chunks) chunk.parameter_gather = {Seconds{1}, Seconds{2}};
  EXPECT_EQ(two.step().step, Seconds{3 + 18});
  EXPECT_EQ(two.step().terms.dp, Seconds{3});
}

TEST(Simulate, OverlappedGathersDelayTheFirstForwardOnly) {
  TwoStages two(0, false, 2);
  two.costs.overlap_parameter_gather = true;
  for (auto& chunk : two.costs.chunks) chunk.parameter_gather = {Seconds{1}, Seconds{2}};
  // F0 may start at 1 and end at 4, but the last bucket is there at 3 and half of the forward (1.5)
  // comes after it: 4.5. Stage 1 has its parameters long before its input.
  EXPECT_EQ(two.step().step, Seconds{4.5 + 3 + 6 + 6});
  two.costs.chunks[0].parameter_gather = {Seconds{1}, Seconds{0.25}};
  EXPECT_EQ(two.step().step, Seconds{4 + 3 + 6 + 6});
}

TEST(Simulate, LatencyDoesNotHoldTheStream) {
  // Two forwards of 1 from stage 0; transfer 3, latency 10: the second follows 3 after the first.
  ScheduleOptions options;
  options.forward_only = true;
  const Schedule schedule = build_schedule(ScheduleKind::GPipe, 2, 1, 2, options);
  const Timeline timeline = simulate(schedule, uniform_costs(schedule, {1, 1, 1}, 10, 3), 1);
  std::vector<std::pair<double, double>> sends;
  for (const Span& span : timeline.spans)
    if (span.stream == Stream::PipelineForward)
      sends.emplace_back(span.start.count(), span.end.count());
  EXPECT_EQ(sends, (std::vector<std::pair<double, double>>{{1, 14}, {4, 17}}));
}

TEST(Simulate, ForwardOnlyHasALatencyAndAPeriod) {
  ScheduleOptions options;
  options.forward_only = true;
  const Schedule schedule = build_schedule(ScheduleKind::GPipe, 4, 1, 3, options);
  ScheduleCosts costs = uniform_costs(schedule, {2, 0, 0}, 1, 0);
  costs.chunks[2].forward.compute = Seconds{5};
  const SimulatedStep step = simulate_step(schedule, costs);
  EXPECT_EQ(step.alone, Seconds{2 + 2 + 3 * 5 + 2 + 3});  // three hops of 1
  EXPECT_EQ(step.step, Seconds{15});                      // the slowest stage, three times
}

TEST(Simulate, TwoTransfersOnOneLinkTakeTwiceAsLong) {
  // Stages 0 and 2 send their first activation... only stage 0 at first; in backward stage 3 sends
  // while nobody else does. With two micro-batches under GPipe, stage 0's second and stage 1's
  // first transfer meet: forward 4, transfer 4 on one link for all.
  const Schedule schedule = build_schedule(ScheduleKind::GPipe, 3, 1, 2);
  ScheduleCosts costs = uniform_costs(schedule, {4, 4, 4}, 0, 4);
  costs.links.resize(1);
  for (auto& hop : costs.hops_forward) hop.link = 0;
  const Timeline timeline = simulate(schedule, costs, 1);
  std::vector<std::pair<double, double>> sends;
  for (const Span& span : timeline.spans)
    if (span.stream == Stream::PipelineForward)
      sends.emplace_back(span.start.count(), span.end.count());
  // Stage 0: F 0-4, 4-8, sends 4-8 and 8-12. Stage 1: F 8-12, sends 12-16, F 12-16, sends 16-20.
  EXPECT_EQ(sends, (std::vector<std::pair<double, double>>{{4, 8}, {8, 12}, {12, 16}, {16, 20}}));

  // Forward 2: stage 0 sends 2-6 and from 6 on; stage 1 computes 6-8 and sends from 8 on. Until 8
  // stage 0's second has moved 2 of 4; then both get one half: it ends at 12. Stage 1's first has
  // moved 2 by then, is alone and ends at 14; its second (F 12-14) follows 14-18.
  for (auto& chunk : costs.chunks) chunk.forward.compute = Seconds{2};
  sends.clear();
  for (const Span& span : simulate(schedule, costs, 1).spans)
    if (span.stream == Stream::PipelineForward)
      sends.emplace_back(span.start.count(), span.end.count());
  EXPECT_EQ(sends, (std::vector<std::pair<double, double>>{{2, 6}, {6, 12}, {8, 14}, {14, 18}}));
}

TEST(Simulate, SameInputSameBytes) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    const auto [schedule, costs] = random_case(seed, Links::Shared);
    const Timeline one = simulate(schedule, costs), other = simulate(schedule, costs);
    ASSERT_EQ(one.spans, other.spans) << seed;
    ASSERT_EQ(one.step_starts, other.step_starts) << seed;
  }
}

// The pass that materialises nothing and the timeline agree to the last bit, and a workspace that
// has seen other schedules changes nothing.
TEST(Simulate, StepAndTimelineAgree) {
  Simulator used;
  for (unsigned seed = 0; seed < kCases; ++seed) {
    for (const Links links : {Links::None, Links::Shared}) {
      const auto [schedule, costs] = random_case(seed, links);
      const SimulatedStep step = used.step(schedule, costs);
      const Timeline timeline = simulate(schedule, costs, step.steps);
      const StepTerms terms = step_terms(timeline);
      ASSERT_EQ(step.step, terms.step) << seed;
      ASSERT_EQ(step.rank, terms.rank) << seed;
      ASSERT_TRUE(step.terms == terms.terms) << seed;
    }
  }
}

TEST(Simulate, TermsAddUpToTheStep) {
  for (unsigned seed = 0; seed < kCases; ++seed) {
    const auto [schedule, costs] = random_case(seed);
    const SimulatedStep step = simulate_step(schedule, costs);
    ASSERT_NEAR(step.terms.sum().count(), step.step.count(), 1e-9) << seed;
    ASSERT_GE(step.terms.bubble, Seconds{0}) << seed;
  }
}

// With a barrier one step tells all: the next ones repeat it.
TEST(Simulate, EveryStepFromBarrierToBarrierIsTheSame) {
  for (unsigned seed = 0; seed < kCases; ++seed) {
    const auto [schedule, costs] = random_case(seed);
    if (!schedule.global_sync) continue;
    const Timeline timeline = simulate(schedule, costs, 3);
    const double first = period_of(timeline, 0, 0).length().count();
    for (int step = 1; step < 3; ++step)
      for (int rank = 0; rank < timeline.ranks; ++rank)
        ASSERT_NEAR(period_of(timeline, rank, step).length().count(), first, 1e-9) << seed;
  }
}

// Two implementations, one answer: where no two flows meet, events in order of time and the
// topological pass give the same spans to the last bit.
TEST(Simulate, EventsAndTopologicalPassAgree) {
  for (unsigned seed = 0; seed < kCases; ++seed) {
    const auto [schedule, costs] = random_case(seed, Links::OwnOfEachStream);
    PricedSchedule priced;
    price(schedule, costs, priced);
    ASSERT_FALSE(shares_links(priced)) << seed;
    SpanRecorder by_order, by_time;
    PassResult order, time;
    UncontendedWorkspace uncontended;
    ContendedWorkspace contended;
    by_order.record_all(schedule, priced);
    by_time.record_all(schedule, priced);
    run_uncontended(schedule, priced, 2, uncontended, by_order, order);
    run_contended(schedule, priced, 2, contended, by_time, time);
    ASSERT_EQ(order.step_starts, time.step_starts) << seed;
    ASSERT_EQ(order.busy, time.busy) << seed;
    ASSERT_EQ(by_order.sorted(), by_time.sorted()) << seed;
  }
}

TEST(Simulate, NoRankIsBusierThanItsPeriod) {
  for (unsigned seed = 0; seed < kCases; ++seed) {
    const auto [schedule, costs] = random_case(seed, Links::Shared);
    const SimulatedStep step = simulate_step(schedule, costs);
    for (const Seconds busy : step.busy) ASSERT_LE(busy.count(), step.step.count() + 1e-9) << seed;
  }
}

TEST(Simulate, ComputeSpansOfARankDoNotOverlap) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    const auto [schedule, costs] = random_case(seed, Links::Shared);
    const Timeline timeline = simulate(schedule, costs);
    for (std::size_t i = 1; i < timeline.spans.size(); ++i) {
      const Span &a = timeline.spans[i - 1], &b = timeline.spans[i];
      if (a.rank != b.rank || a.stream != Stream::Compute || b.stream != Stream::Compute) continue;
      ASSERT_LE(a.end.count(), b.start.count() + 1e-9) << seed;
    }
  }
}

TEST(Simulate, RefusesAScheduleThatWaitsForever) {
  Schedule schedule = build_schedule(ScheduleKind::GPipe, 2, 1, 1);
  std::erase_if(schedule.programs[0],
                [](const Instruction& in) { return in.action == Action::SendForward; });
  try {
    simulate_step(schedule, uniform_costs(schedule, {}));
    FAIL() << "it ran";
  } catch (const profiles::InputError& error) {
    EXPECT_NE(std::string(error.what()).find("stage 1"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("forward"), std::string::npos) << error.what();
  }
}

TEST(Simulate, RefusesCostsOfAnotherSchedule) {
  const Schedule two = build_schedule(ScheduleKind::GPipe, 2, 1, 1);
  const Schedule four = build_schedule(ScheduleKind::GPipe, 4, 1, 1);
  EXPECT_THROW(simulate_step(four, uniform_costs(two, {})), profiles::InputError);
  ScheduleCosts costs = uniform_costs(two, {});
  costs.hops_forward[0] = {Seconds{0}, Seconds{1}, 3};  // there is no link 3
  EXPECT_THROW(simulate_step(two, costs), profiles::InputError);
}

}  // namespace
}  // namespace meshplan::planner
