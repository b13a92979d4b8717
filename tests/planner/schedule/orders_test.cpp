#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "planner/schedule/build_schedule.h"
#include "planner/schedule/deadlock.h"
#include "planner/schedule/dependencies.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

/// "F0 F1 B0": the order of one stage; a, b, c ... say which of its chunks where it has several.
std::string text(const ComputeOrder& order, int stages) {
  const bool many = std::any_of(order.begin(), order.end(),
                                [&](auto& i) { return i.chunk != order.front().chunk; });
  std::string out;
  for (const Instruction& i : order) {
    if (!out.empty()) out += ' ';
    out += i.action == Action::Forward ? 'F' : i.action == Action::WeightGrad ? 'W' : 'B';
    if (many) out += static_cast<char>('a' + i.chunk / stages);
    out += std::to_string(i.microbatch);
  }
  return out;
}

std::string order(ScheduleKind kind, int stages, int chunks, int microbatches, int stage) {
  return text(compute_order(kind, {stages, chunks, microbatches}, stage), stages);
}

TEST(GPipe, BackwardRunsTheLastMicrobatchFirst) {
  EXPECT_EQ(order(ScheduleKind::GPipe, 4, 1, 4, 0), "F0 F1 F2 F3 B3 B2 B1 B0");
}

TEST(OneForwardOneBackward, AsDrawnInItsHeader) {
  EXPECT_EQ(order(ScheduleKind::OneFOneB, 3, 1, 4, 1), "F0 F1 B0 F2 B1 F3 B2 B3");
}

TEST(OneForwardOneBackward, FewerMicrobatchesThanStages) {
  EXPECT_EQ(order(ScheduleKind::OneFOneB, 4, 1, 2, 0), "F0 F1 B0 B1");
  EXPECT_EQ(order(ScheduleKind::OneFOneB, 4, 1, 2, 3), "F0 B0 F1 B1");
}

TEST(Interleaved, AsDrawnInItsHeader) {
  EXPECT_EQ(order(ScheduleKind::Interleaved, 2, 2, 4, 1),
            "Fa0 Fa1 Fb0 Bb0 Fb1 Bb1 Fa2 Ba0 Fa3 Ba1 Fb2 Bb2 Fb3 Bb3 Ba2 Ba3");
}

TEST(ZbH1, AsDrawnInItsHeader) {
  EXPECT_EQ(order(ScheduleKind::ZbH1, 3, 1, 4, 1), "F0 F1 B0 F2 B1 W0 F3 B2 W1 B3 W2 W3");
}

TEST(ZbH2, AsDrawnInItsHeader) {
  EXPECT_EQ(order(ScheduleKind::ZbH2, 3, 1, 6, 1),
            "F0 F1 F2 B0 F3 B1 F4 B2 W0 F5 B3 W1 B4 W2 B5 W3 W4 W5");
}

TEST(ZbV, AsDrawnInItsHeader) {
  EXPECT_EQ(order(ScheduleKind::ZbV, 2, 2, 3, 0),
            "Fa0 Fa1 Fa2 Fb0 Bb0 Wb0 Fb1 Bb1 Wb1 Ba0 Wa0 Fb2 Bb2 Wb2 Ba1 Wa1 Ba2 Wa2");
}

}  // namespace
}  // namespace meshplan::planner
