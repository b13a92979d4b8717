#include "planner/schedule/bounds.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "planner/simulate/simulate.h"
#include "tests/planner/schedule/any_schedule.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

/// Equal chunks: F, B, W are those of a whole stage.
ScheduleCosts equal_costs(int stages, int chunks_per_stage, double f, double b, double w,
                          double hop = 0) {
  ScheduleCosts costs;
  const double v = chunks_per_stage;
  for (int c = 0; c < stages * chunks_per_stage; ++c) {
    ChunkCost chunk;
    chunk.forward.compute = Seconds{f / v};
    chunk.input_grad.compute = Seconds{b / v};
    chunk.weight_grad.compute = Seconds{w / v};
    costs.chunks.push_back(chunk);
    costs.hops_forward.push_back({.latency = Seconds{hop}});
    costs.hops_backward.push_back({.latency = Seconds{hop}});
  }
  costs.stages.resize(static_cast<std::size_t>(stages));
  return costs;
}

/// Step time less the work of one stage.
struct Bubble {
  double simulated, bound;
};
Bubble bubble(ScheduleKind kind, int p, int v, int m, double f, double b, double w,
              double hop = 0) {
  const ScheduleCosts costs = equal_costs(p, v, f, b, w, hop);
  const double work = m * (f + b + w);
  return {simulate_step(build_schedule(kind, p, v, m), costs).step.count() - work,
          step_lower_bound(kind, costs, p, v, m).count() - work};
}

// The bubbles of equal stages when all wait at the optimizer, in closed form (Narayanan et al.
// 2021; Qi et al. 2023, with the clamps that their forms lack). The schedules reach them, and where
// the bound is said to be exact it does too.
TEST(Bubble, OfEqualStagesIsTheClosedForm) {
  EXPECT_TRUE(rc::check([] {
    const int p = *rc::gen::inRange(1, 9);
    const int v = *rc::gen::inRange(2, 5);
    const int m = *rc::gen::inRange(1, 25);
    const int full = p * *rc::gen::inRange(1, 5);
    const double f = *rc::gen::inRange(1, 40);
    const double b = *rc::gen::inRange(1, 40);
    const double w = *rc::gen::inRange(1, 40);
    const auto expect = [](Bubble found, double form, bool tight) {
      RC_ASSERT(std::abs(found.simulated - form) < 1e-9 * (1 + form));
      if (tight) RC_ASSERT(std::abs(found.bound - form) < 1e-9 * (1 + form));
    };
    const double whole = (p - 1) * (f + b + w);
    expect(bubble(ScheduleKind::GPipe, p, 1, m, f, b, w), whole, true);
    expect(bubble(ScheduleKind::OneFOneB, p, 1, m, f, b, w), whole, true);
    expect(bubble(ScheduleKind::Interleaved, p, v, full, f, b, w), whole / v, true);
    expect(bubble(ScheduleKind::ZbH1, p, 1, m + p - 1, f, b, w),
           (p - 1) * std::max({f, b, f + b - w}), true);
    expect(bubble(ScheduleKind::ZbH2, p, 1, m + 2 * p - 2, f, b, w),
           (p - 1) * std::max({f, b - f, f + b - 2 * w}), true);
    if (b >= f && f >= w) {
      expect(bubble(ScheduleKind::ZbV, p, 2, m + 2 * p - 2, f, b, w),
             (p - 1) * std::max(b / 2, b - w), false);
    }
  }));
}

// What a step loses when steps follow each other without a barrier: the largest idle time of a
// stage between its own first and last instruction. Published for p = 4: see docs/schedules.md.
TEST(Bubble, WithoutABarrierZeroBubbleSchedulesLoseLessOrNothing) {
  const auto lost = [](ScheduleKind kind, double f, double b, double w) {
    const int p = 4, m = 12;
    const int v = kind == ScheduleKind::ZbV ? 2 : 1;
    ScheduleOptions options;
    options.global_sync = false;
    const ScheduleCosts costs = equal_costs(p, v, f, b, w);
    const Schedule s = build_schedule(kind, p, v, m, options);
    EXPECT_LE(step_lower_bound(kind, costs, p, v, m, false), simulate_step(s, costs).step);
    return simulate_step(s, costs).step.count() - m * (f + b + w);
  };
  // (p-1)(F+b); (p-1) max(B, F+B-W); (p-1) max(0, B-F, F+B-2W); (p-1)(B-W).
  EXPECT_NEAR(lost(ScheduleKind::OneFOneB, 1, 1, 1), 9, 1e-9);
  EXPECT_NEAR(lost(ScheduleKind::ZbH1, 1, 1, 1), 3, 1e-9);
  EXPECT_NEAR(lost(ScheduleKind::ZbH2, 1, 1, 1), 0, 1e-9);
  EXPECT_NEAR(lost(ScheduleKind::ZbV, 1, 1, 1), 0, 1e-9);
  EXPECT_NEAR(lost(ScheduleKind::OneFOneB, 10, 12, 8), 90, 1e-9);
  EXPECT_NEAR(lost(ScheduleKind::ZbH1, 10, 12, 8), 42, 1e-9);
  EXPECT_NEAR(lost(ScheduleKind::ZbH2, 10, 12, 8), 18, 1e-9);
  EXPECT_NEAR(lost(ScheduleKind::ZbV, 10, 12, 8), 12, 1e-9);
}

TEST(Bubble, ZbVIdlesMoreWhereItsOrderDoesNotFitThePrices) {
  // p 4, F 24, B 8, W 4: a published run of this order loses 58.
  EXPECT_NEAR(bubble(ScheduleKind::ZbV, 4, 2, 12, 24, 8, 4).simulated, 58, 1e-9);
}

// Per-hop latency c that occupies nobody (reference run of 1.4): 2 (p-1) c for GPipe,
// 2 c [(p-1) + floor((m-1)(p-1)/p)] for 1F1B, 2 c (p v - 1) for interleaving.
TEST(Bubble, GrowsWithHopLatencyAsTheClosedFormSays) {
  EXPECT_TRUE(rc::check([] {
    const int p = *rc::gen::inRange(2, 9);
    const int v = *rc::gen::inRange(2, 4);
    const int m = *rc::gen::inRange(1, 30);
    const int full = p * *rc::gen::inRange(1, 5);
    const double f = 12, b = 14, w = 10;
    const double c = *rc::gen::inRange(1, 13) / 1.0;
    const auto expect = [](Bubble found, double form) {
      RC_ASSERT(std::abs(found.simulated - form) < 1e-9 * form);
      RC_ASSERT(std::abs(found.bound - form) < 1e-9 * form);
    };
    const double whole = (p - 1) * (f + b + w);
    expect(bubble(ScheduleKind::GPipe, p, 1, m, f, b, w, c), whole + 2 * (p - 1) * c);
    expect(bubble(ScheduleKind::OneFOneB, p, 1, m, f, b, w, c),
           whole + 2 * c * ((p - 1) + (m - 1) * (p - 1) / p));
    const double small = f / (12 * v);
    expect(bubble(ScheduleKind::Interleaved, p, v, full, f, b, w, small),
           whole / v + 2 * small * (p * v - 1));
  }));
}

TEST(StepLowerBound, GPipeIsExactOnUnevenStages) {
  EXPECT_TRUE(rc::check([] {
    const int p = *rc::gen::inRange(1, 7);
    const int m = *rc::gen::inRange(1, 12);
    ScheduleCosts costs = equal_costs(p, 1, 0, 0, 0);
    double f = 0, b = 0, f_most = 0, b_most = 0;
    for (ChunkCost& chunk : costs.chunks) {
      chunk.forward.compute = Seconds(*rc::gen::inRange(1, 100));
      chunk.input_grad.compute = Seconds(*rc::gen::inRange(1, 100));
      f += chunk.forward.total().count();
      b += chunk.input_grad.total().count();
      f_most = std::max(f_most, chunk.forward.total().count());
      b_most = std::max(b_most, chunk.input_grad.total().count());
    }
    // Flow shop: sum F + (m-1) max F + sum b + (m-1) max b.
    const double form = f + (m - 1) * f_most + b + (m - 1) * b_most;
    RC_ASSERT(std::abs(step_lower_bound(ScheduleKind::GPipe, costs, p, 1, m).count() - form) <
              1e-9 * form);
  }));
}

/// Prices of any size for each part, uneven, some zero; buckets, hops and shared links included.
ScheduleCosts any_costs(const AnySchedule& any, bool recompute) {
  const auto time = [](int most) { return Seconds(*rc::gen::inRange(0, most + 1)); };
  ScheduleCosts costs;
  const int hop = *rc::gen::element(0, 3, 40);
  const int bucket = *rc::gen::element(0, 5, 60);
  const int buckets = *rc::gen::inRange(0, 4);
  const int gathers = *rc::gen::inRange(0, 4);
  costs.overlap_gradient_reduce = *rc::gen::arbitrary<bool>();
  costs.overlap_parameter_gather = *rc::gen::arbitrary<bool>();
  const bool shared = *rc::gen::arbitrary<bool>();
  const Seconds stall = time(*rc::gen::element(0, 0, 10));
  for (int c = 0; c < any.chunks(); ++c) {
    ChunkCost chunk;
    chunk.forward.pp = chunk.input_grad.pp = 2 * stall;
    if (recompute) chunk.recompute.pp = stall;
    chunk.forward.compute = time(20);
    chunk.input_grad.compute = time(20);
    chunk.weight_grad.compute = time(20);
    chunk.forward.tp = time(5);
    if (recompute) chunk.recompute.compute = time(20);
    for (int b = 0; b < buckets; ++b) chunk.gradient_reduce.push_back(time(bucket));
    for (int b = 0; b < gathers; ++b) chunk.parameter_gather.push_back(time(bucket));
    costs.chunks.push_back(chunk);
    const int stage = chunk_owner(any.kind, any.stages, c);
    const int link = shared ? stage : -1;
    for (auto* hops : {&costs.hops_forward, &costs.hops_backward}) {
      hops->push_back({.latency = time(hop), .transfer = time(hop), .link = link, .early = stall});
    }
  }
  for (int s = 0; s < any.stages; ++s) {
    costs.stages.push_back(
        {.optimizer = time(30), .sync = time(10), .reduce_link = shared ? s : -1});
    if (shared) costs.links.push_back({s});
  }
  return costs;
}

TEST(StepLowerBound, IsNeverAboveTheSimulatedStep) {
  EXPECT_TRUE(rc::check([] {
    AnySchedule any = *any_schedule();
    any.options.group_size = 0;
    if (any.kind == ScheduleKind::Interleaved && any.chunks_per_stage > 1) {
      any.microbatches = any.stages * (1 + any.microbatches / any.stages);
    }
    any.options.recompute = *rc::gen::arbitrary<bool>();
    any.options.global_sync = *rc::gen::arbitrary<bool>();
    const ScheduleCosts costs = any_costs(any, any.options.recompute);
    any.options.overlap_gradient_reduce = costs.overlap_gradient_reduce;
    for (const ChunkCost& chunk : costs.chunks) {
      any.options.chunks.emplace_back();
      any.options.chunks.back().gradient_buckets = static_cast<int>(chunk.gradient_reduce.size());
      any.options.chunks.back().gather_buckets = static_cast<int>(chunk.parameter_gather.size());
    }
    const double simulated = simulate_step(built(any), costs).step.count();
    const double bound = step_lower_bound(any.kind, costs, any.stages, any.chunks_per_stage,
                                          any.microbatches, any.options.global_sync)
                             .count();
    RC_ASSERT(bound <= simulated * (1 + 1e-12));
  }));
}

}  // namespace
}  // namespace meshplan::planner
