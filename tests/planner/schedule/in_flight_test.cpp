#include "planner/schedule/in_flight.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <optional>

#include "tests/planner/schedule/any_schedule.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;

/// The published forms, in micro-batches x chunks, in the domain where they are stated.
std::optional<int> published(ScheduleKind kind, int p, int v, int m, int n, int stage) {
  switch (kind) {
    case ScheduleKind::GPipe:
      return m;
    case ScheduleKind::OneFOneB:
      return std::min(m, p - stage);
    case ScheduleKind::Interleaved:
      if (v == 1) return std::min(m, p - stage);
      return std::min(m * v, 2 * (p - 1 - stage) + 1 + (v - 1) * n);
    case ScheduleKind::ZbH1:
      return std::min(m, p);
    case ScheduleKind::ZbH2:
      return std::min(m, 2 * p - 1);
    case ScheduleKind::ZbV:
      if (m < 2 * p - 1) return std::nullopt;
      return 2 * p;
  }
  return std::nullopt;
}

TEST(InFlight, CountedOnTheScheduleEqualsThePublishedForm) {
  EXPECT_TRUE(rc::check([] {
    const AnySchedule any = *any_schedule();
    const Schedule s = built(any);
    for (int stage = 0; stage < any.stages; ++stage) {
      const int counted = counted_in_flight(s, stage);
      RC_ASSERT(in_flight(any.kind, any.shape(), stage) == counted);
      const auto form = published(any.kind, any.stages, any.chunks_per_stage, any.microbatches,
                                  any.shape().group(), stage);
      // With exactly 2p - 1 micro-batches stage 0 of zb-v holds 2p chunk activations too: the
      // second chunk's first forward comes while all 2p - 1 of the first are alive.
      if (form) RC_ASSERT(counted == *form);
    }
  }));
}

TEST(InFlight, InterleavedFirstStageHoldsMoreThanOneFOneB) {
  // p 4, v 2, m >= 2p: p (1 + (p - 1) / (p v)) = 4 (1 + 3 / 8) = 5.5 stage activations = 11 chunks.
  EXPECT_EQ(in_flight(ScheduleKind::Interleaved, {4, 2, 8}, 0), 11);
  // Groups of 16 instead of 4: 11.5 stage activations.
  EXPECT_EQ(in_flight(ScheduleKind::Interleaved, {4, 2, 32, 16}, 0), 23);
}

TEST(InFlight, ForwardOnlyKeepsOne) {
  ScheduleOptions options;
  options.forward_only = true;
  options.chunks.resize(3);
  options.chunks[1].activations = Bytes{7};
  const Schedule s = build_schedule(ScheduleKind::OneFOneB, 3, 1, 5, options);
  EXPECT_EQ(peak_activation_bytes(s, 1), Bytes{7});
}

TEST(PeakActivationBytes, SplitBackwardByHand) {
  // ZB-H1, p 3, stage 1: max((p-i) A1 + i A2, (p-i-1) A1 + (i+1) A2) with A1 10, A2 4:
  // max(24, 18) = 24. Stage 2: max(10 + 8, 0 + 12) = 18. ZB-H2, stage 1: max(3*10 + 2*4, 2*10 +
  // 3*4) = 38.
  const std::vector<Bytes> all(3, Bytes{10});
  const std::vector<Bytes> late(3, Bytes{4});
  EXPECT_EQ(peak_activation_bytes(ScheduleKind::ZbH1, 3, 1, 12, 1, all, late), Bytes{24});
  EXPECT_EQ(peak_activation_bytes(ScheduleKind::ZbH1, 3, 1, 12, 2, all, late), Bytes{18});
  EXPECT_EQ(peak_activation_bytes(ScheduleKind::ZbH2, 3, 1, 12, 1, all, late), Bytes{38});
}

TEST(PeakActivationBytes, ClosedFormEqualsTheWalkWhateverTheChunksHold) {
  EXPECT_TRUE(rc::check([] {
    AnySchedule any = *any_schedule();
    std::vector<Bytes> all, late;
    for (int c = 0; c < any.chunks(); ++c) {
      all.push_back({*rc::gen::inRange(0, 1000)});
      late.push_back({*rc::gen::inRange<std::int64_t>(0, all.back().count + 1)});
      any.options.chunks.emplace_back();
      any.options.chunks.back().activations = all.back();
      any.options.chunks.back().until_weight_grad = late.back();
    }
    const Schedule s = built(any);
    for (int stage = 0; stage < any.stages; ++stage) {
      RC_ASSERT(peak_activation_bytes(any.kind, any.shape(), stage, all, late) ==
                peak_activation_bytes(s, stage));
    }
  }));
}

TEST(PeakActivationBytes, WithoutUntilWeightGradEverythingStaysUntilThen) {
  const std::vector<Bytes> all(4, Bytes{10});
  EXPECT_EQ(peak_activation_bytes(ScheduleKind::ZbH1, 4, 1, 12, 3, all), Bytes{40});
}

}  // namespace
}  // namespace meshplan::planner
