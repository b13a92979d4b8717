// The simulator against the closed forms of pipeline schedules, each inside its stated range. F, B,
// W are the forward, input-gradient and weight-gradient time of one whole stage and one
// micro-batch; p stages, m micro-batches, v chunks a stage, c the time of one hop. Times are
// integers, so every comparison is exact.
//
//   G = step - m (F + B + W) when all ranks wait for each other before the optimizer
//   D = the same when steps follow each other without a barrier
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "tests/planner/simulate/uniform_costs.h"

namespace meshplan::planner {
namespace {

struct Case {
  int p, m;
  StageTimes times;
  int recompute = 0;
  [[nodiscard]] int work() const {
    return m * (times.forward + times.input_grad + times.weight_grad + recompute);
  }
};

/// Stages 2-16, times 1-30 (multiples of `parts`), micro-batches from `least(p)`.
template <class Least>
Case any_case(Least least, int parts = 1, int max_stages = 16) {
  Case c{};
  c.p = *rc::gen::inRange(2, max_stages + 1);
  c.m = least(c.p) + *rc::gen::inRange(0, 40);
  const auto time = [&] { return parts * *rc::gen::inRange(1, 31); };
  c.times = {time(), time(), time()};
  return c;
}

double idle(ScheduleKind kind, const Case& c, bool barrier, int v = 1, double latency = 0,
            double transfer = 0) {
  ScheduleOptions options;
  options.global_sync = barrier;
  options.recompute = c.recompute > 0;
  const Schedule schedule = build_schedule(kind, c.p, v, c.m, options);
  ScheduleCosts costs = uniform_costs(schedule, c.times, latency, transfer);
  for (ChunkCost& chunk : costs.chunks) {
    chunk.recompute.compute = profiles::Seconds{c.recompute / double(v)};
  }
  return simulate_step(schedule, costs).step.count() - c.work();
}

constexpr auto kOne = [](int) { return 1; };

TEST(ClosedForms, GPipe) {
  EXPECT_TRUE(rc::check([] {
    const Case c = any_case(kOne);
    const auto [f, b, w] = c.times;
    RC_ASSERT(idle(ScheduleKind::GPipe, c, true) == (c.p - 1) * (f + b + w));
    RC_ASSERT(idle(ScheduleKind::GPipe, c, false) == (c.p - 1) * (f + b + w));
  }));
}

TEST(ClosedForms, OneForwardOneBackward) {
  EXPECT_TRUE(rc::check([] {
    const Case c = any_case(kOne);
    const auto [f, b, w] = c.times;
    RC_ASSERT(idle(ScheduleKind::OneFOneB, c, true) == (c.p - 1) * (f + b + w));
    RC_ASSERT(idle(ScheduleKind::OneFOneB, c, false) == (c.p - 1) * (f + b + w));
  }));
}

TEST(ClosedForms, Interleaved) {
  EXPECT_TRUE(rc::check([] {
    const int v = *rc::gen::inRange(2, 5);
    Case c = any_case(kOne, v);
    c.m = c.p * *rc::gen::inRange(1, 5);
    const auto [f, b, w] = c.times;
    RC_ASSERT(idle(ScheduleKind::Interleaved, c, true, v) == (c.p - 1) * (f + b + w) / v);
    RC_ASSERT(idle(ScheduleKind::Interleaved, c, false, v) == (c.p - 1) * (f + b + w) / v);
  }));
}

TEST(ClosedForms, ZeroBubbleH1) {
  EXPECT_TRUE(rc::check([] {
    const Case c = any_case([](int p) { return p; });
    const auto [f, b, w] = c.times;
    RC_ASSERT(idle(ScheduleKind::ZbH1, c, true) == (c.p - 1) * std::max({f, b, f + b - w}));
    RC_ASSERT(idle(ScheduleKind::ZbH1, c, false) == (c.p - 1) * std::max(b, f + b - w));
  }));
}

TEST(ClosedForms, ZeroBubbleH2) {
  EXPECT_TRUE(rc::check([] {
    const Case c = any_case([](int p) { return 2 * p - 1; });
    const auto [f, b, w] = c.times;
    RC_ASSERT(idle(ScheduleKind::ZbH2, c, true) == (c.p - 1) * std::max({f, b - f, f + b - 2 * w}));
    RC_ASSERT(idle(ScheduleKind::ZbH2, c, false) ==
              (c.p - 1) * std::max({0, b - f, f + b - 2 * w}));
  }));
}

TEST(ClosedForms, ZeroBubbleV) {
  EXPECT_TRUE(rc::check([] {
    Case c = any_case([](int p) { return 2 * p - 1; }, 2);
    auto& [f, b, w] = c.times;
    if (w > f) std::swap(w, f);
    if (f > b) std::swap(f, b);
    if (w > f) std::swap(w, f);  // B >= F >= W
    RC_ASSERT(idle(ScheduleKind::ZbV, c, true, 2) == (c.p - 1) * std::max(b / 2, b - w));
    RC_ASSERT(idle(ScheduleKind::ZbV, c, false, 2) == (c.p - 1) * (b - w));
  }));
}

// A stage recomputes when the gradient is there, not while it waits for it: the bubble grows as if
// the recomputation were part of the backward.
TEST(ClosedForms, RecomputationFillsNoBubble) {
  EXPECT_TRUE(rc::check([] {
    const int v = *rc::gen::inRange(2, 5);
    Case c = any_case(kOne, v);
    const auto [f, b, w] = c.times;
    const int r = c.recompute = f;
    const int bubble = (c.p - 1) * (f + r + b + w);
    RC_ASSERT(idle(ScheduleKind::GPipe, c, true) == bubble);
    RC_ASSERT(idle(ScheduleKind::OneFOneB, c, true) == bubble);
    c.m = c.p * *rc::gen::inRange(1, 5);
    RC_ASSERT(idle(ScheduleKind::Interleaved, c, true, v) == bubble / v);
    RC_ASSERT(idle(ScheduleKind::ZbH1, c, true) == (c.p - 1) * std::max(r + b, f + r + b - w));
  }));
}

// F = B = W = 1, p = 4: the table of published bubbles. ZB-H2 and ZB-V lose nothing, but only
// between steps that overlap.
TEST(ClosedForms, UnitTimesOnFourStages) {
  const Case c{4, 12, {2, 2, 2}};  // in halves, so that a half-stage takes 1
  const auto bubbles = [&](ScheduleKind kind, int v = 1) {
    return std::pair(idle(kind, c, true, v) / 2, idle(kind, c, false, v) / 2);
  };
  EXPECT_EQ(bubbles(ScheduleKind::OneFOneB), std::pair(9.0, 9.0));
  EXPECT_EQ(bubbles(ScheduleKind::ZbH1), std::pair(3.0, 3.0));
  EXPECT_EQ(bubbles(ScheduleKind::ZbH2), std::pair(3.0, 0.0));
  EXPECT_EQ(bubbles(ScheduleKind::ZbV, 2), std::pair(1.5, 0.0));
}

// F = 10, B = 12, W = 8, p = 4: 90; 42, 42; 30, 18; 18, 12.
TEST(ClosedForms, UnequalTimesOnFourStages) {
  const Case c{4, 12, {10, 12, 8}};
  EXPECT_EQ(idle(ScheduleKind::OneFOneB, c, true), 90);
  EXPECT_EQ(idle(ScheduleKind::ZbH1, c, true), 42);
  EXPECT_EQ(idle(ScheduleKind::ZbH1, c, false), 42);
  EXPECT_EQ(idle(ScheduleKind::ZbH2, c, true), 30);
  EXPECT_EQ(idle(ScheduleKind::ZbH2, c, false), 18);
  EXPECT_EQ(idle(ScheduleKind::ZbV, c, true, 2), 18);
  EXPECT_EQ(idle(ScheduleKind::ZbV, c, false, 2), 12);
}

/// A hop time c = latency + transfer of 0 .. `most`, split at random.
std::pair<int, int> any_hop(int most) {
  const int c = *rc::gen::inRange(0, most + 1);
  const int latency = *rc::gen::inRange(0, c + 1);
  return {latency, c - latency};
}

TEST(TransferTime, GPipeAddsOneHopAStageEachWay) {
  EXPECT_TRUE(rc::check([] {
    const Case c = any_case(kOne);
    const auto [f, b, w] = c.times;
    const auto [latency, transfer] = any_hop(std::min(f, b + w));
    const int hop = latency + transfer;
    RC_ASSERT(idle(ScheduleKind::GPipe, c, true, 1, latency, transfer) ==
              (c.p - 1) * (f + b + w) + 2 * (c.p - 1) * hop);
  }));
}

TEST(TransferTime, OneForwardOneBackwardAddsARoundTripPerPMicrobatches) {
  EXPECT_TRUE(rc::check([] {
    const Case c = any_case(kOne);
    const auto [f, b, w] = c.times;
    const auto [latency, transfer] = any_hop(std::min(f, b + w));
    const int hop = latency + transfer;
    RC_ASSERT(idle(ScheduleKind::OneFOneB, c, true, 1, latency, transfer) ==
              (c.p - 1) * (f + b + w) + 2 * hop * ((c.p - 1) + (c.m - 1) * (c.p - 1) / c.p));
  }));
}

TEST(TransferTime, InterleavingAddsOneHopAChunkEachWay) {
  // c = F / (12 v): small, so that a chunk's next micro-batch never waits for it.
  for (const auto& [p, v, m] :
       {std::tuple{2, 2, 4}, {4, 2, 8}, {4, 3, 8}, {4, 2, 32}, {8, 2, 16}}) {
    const Case c{p, m, {12 * v, 12 * v, 12 * v}};
    EXPECT_EQ(idle(ScheduleKind::Interleaved, c, true, v, 1, 0), (p - 1) * 36 + 2 * (p * v - 1))
        << "p=" << p << " v=" << v << " m=" << m;
  }
}

TEST(TransferTime, ZeroBubbleOfEqualTimes) {
  for (const auto& [p, m] : {std::pair{2, 8}, {4, 8}, {4, 16}, {8, 16}}) {
    const Case c{p, m, {100, 100, 100}};
    EXPECT_EQ(idle(ScheduleKind::ZbH1, c, true, 1, 1, 0), (p - 1) * 100 + 4 * (p - 1)) << p;
    EXPECT_EQ(idle(ScheduleKind::ZbH2, c, true, 1, 1, 0), (p - 1) * 100 + (p - 1)) << p;
  }
}

// Uneven stages. GPipe: sum F + (m - 1) max F + sum b + (m - 1) max b.
TEST(UnevenStages, GPipeIsExact) {
  EXPECT_TRUE(rc::check([] {
    const Case c = any_case(kOne);
    const Schedule schedule = build_schedule(ScheduleKind::GPipe, c.p, 1, c.m);
    ScheduleCosts costs = uniform_costs(schedule, {});
    int sum = 0, max_forward = 0, max_backward = 0;
    for (ChunkCost& chunk : costs.chunks) {
      const int f = *rc::gen::inRange(1, 31), b = *rc::gen::inRange(2, 31);
      chunk.forward.compute = profiles::Seconds(f);
      chunk.input_grad.compute = profiles::Seconds(b - 1);
      chunk.weight_grad.compute = profiles::Seconds(1);
      sum += f + b;
      max_forward = std::max(max_forward, f);
      max_backward = std::max(max_backward, b);
    }
    RC_ASSERT(simulate_step(schedule, costs).step.count() ==
              sum + (c.m - 1) * (max_forward + max_backward));
  }));
}

// 1F1B: at least max_i [m t_i + sum of t_j before i], at most sum t + (m - 1) max t where backward
// and forward have one ratio on all stages.
TEST(UnevenStages, OneForwardOneBackwardLiesBetweenItsBounds) {
  EXPECT_TRUE(rc::check([] {
    const Case c = any_case(kOne);
    const Schedule schedule = build_schedule(ScheduleKind::OneFOneB, c.p, 1, c.m);
    ScheduleCosts costs = uniform_costs(schedule, {});
    int sum = 0, longest = 0, bound = 0;
    for (ChunkCost& chunk : costs.chunks) {
      const int f = *rc::gen::inRange(1, 31);
      chunk.forward.compute = chunk.input_grad.compute = chunk.weight_grad.compute =
          profiles::Seconds(f);
      bound = std::max(bound, c.m * 3 * f + sum);
      sum += 3 * f;
      longest = std::max(longest, 3 * f);
    }
    const double step = simulate_step(schedule, costs).step.count();
    RC_ASSERT(step >= bound);
    RC_ASSERT(step <= sum + (c.m - 1) * longest);
  }));
}

}  // namespace
}  // namespace meshplan::planner
