#include "planner/schedule/deadlock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "planner/schedule/build_schedule.h"
#include "planner/schedule/dependencies.h"
#include "planner/schedule/interleaved.h"
#include "planner/schedule/lower.h"
#include "planner/simulate/simulate.h"
#include "profiles/input_error.h"
#include "tests/planner/schedule/any_schedule.h"

namespace meshplan::planner {
namespace {

using profiles::InputError;
using testing::HasSubstr;

/// Position of the first `action` of micro-batch `microbatch` on a stage.
std::size_t position(const Schedule& s, int stage, Action action, int microbatch) {
  const auto& list = s.programs[static_cast<std::size_t>(stage)];
  const auto at = std::find_if(list.begin(), list.end(), [&](const Instruction& i) {
    return i.action == action && i.microbatch == microbatch;
  });
  return static_cast<std::size_t>(at - list.begin());
}

TEST(FindDeadlock, TwoStagesThatSendToEachOther) {
  // A ring of blocking sends: stage 0 sends forward 1 before it receives gradient 0, stage 1 sends
  // gradient 0 before it receives forward 1. Ungrouped, each waits for the other.
  Schedule s = build_schedule(ScheduleKind::OneFOneB, 2, 1, 2);
  for (auto& program : s.programs) {
    for (Instruction& i : program) i.group = -1;
  }
  auto& second = s.programs[1];
  const Instruction late = second[position(s, 1, Action::ReceiveForward, 1)];
  second.erase(second.begin() + static_cast<long>(position(s, 1, Action::ReceiveForward, 1)));
  second.insert(second.begin() + static_cast<long>(position(s, 1, Action::Forward, 1)), late);
  const auto deadlock = find_deadlock(s);
  ASSERT_TRUE(deadlock.has_value());
  EXPECT_EQ(
      deadlock->message,
      "the schedule cannot complete: stage 0 waits with send forward of chunk 0 micro-batch 1 "
      "(instruction 3) for stage 1; stage 1 waits with send backward of chunk 1 micro-batch 0 "
      "(instruction 3) for stage 0");
  ASSERT_EQ(deadlock->waits.size(), 2u);
  EXPECT_EQ(deadlock->waits[0].on_stage, 1);

  // Posted together on both sides, the same two pairs pass each other: the group of Megatron's
  // send_forward_recv_backward.
  s.programs[0][position(s, 0, Action::SendForward, 1)].group = 0;
  s.programs[0][position(s, 0, Action::ReceiveBackward, 0)].group = 0;
  second[position(s, 1, Action::SendBackward, 0)].group = 0;
  second[position(s, 1, Action::ReceiveForward, 1)].group = 0;
  EXPECT_FALSE(find_deadlock(s).has_value());
}

TEST(FindDeadlock, AReceiveThatNobodySends) {
  Schedule s = build_schedule(ScheduleKind::OneFOneB, 2, 1, 1);
  auto& first = s.programs[0];
  first.erase(first.begin() + static_cast<long>(position(s, 0, Action::SendForward, 0)));
  const auto deadlock = find_deadlock(s);
  ASSERT_TRUE(deadlock.has_value());
  EXPECT_THAT(deadlock->message,
              HasSubstr("stage 1 waits with receive forward of chunk 1 micro-batch 0 "
                        "(instruction 0) for stage 0"));
}

TEST(FindDeadlock, TransfersBetweenTwoStagesMustKeepTheirOrder) {
  Schedule s = build_schedule(ScheduleKind::OneFOneB, 2, 1, 2);
  std::swap(s.programs[1][position(s, 1, Action::ReceiveForward, 0)].microbatch,
            s.programs[1][position(s, 1, Action::ReceiveForward, 1)].microbatch);
  EXPECT_TRUE(find_deadlock(s).has_value());
}

TEST(FindDeadlock, AStageThatNeverReachesTheBarrier) {
  Schedule s = build_schedule(ScheduleKind::OneFOneB, 3, 1, 2);
  auto& last = s.programs[2];
  std::erase_if(last, [](const Instruction& i) { return i.action == Action::OptimizerSync; });
  const auto deadlock = find_deadlock(s);
  ASSERT_TRUE(deadlock.has_value());
  EXPECT_THAT(deadlock->message, HasSubstr("optimizer sync"));
  EXPECT_EQ(deadlock->waits.back().on_stage, 2);
}

TEST(FindDeadlock, AnySwapOfComputeIsJudgedAsTheDependenciesSay) {
  // Swap two neighbouring compute instructions of one stage. Within one stage the order is legal
  // exactly if no value is used before it is there; across stages the swap may starve a peer, which
  // must show as a deadlock and never as a hang or a crash.
  EXPECT_TRUE(rc::check([] {
    const AnySchedule any = *any_schedule();
    Schedule s = built(any);
    auto& list = s.programs[static_cast<std::size_t>(*rc::gen::inRange(0, any.stages))];
    const auto at = *rc::gen::inRange<std::size_t>(0, list.size() - 1);
    const Instruction a = list[at], b = list[at + 1];
    RC_PRE(is_compute(a.action) && is_compute(b.action));
    std::swap(list[at], list[at + 1]);
    const bool uses = a.chunk == b.chunk && a.microbatch == b.microbatch;
    const bool turn = a.microbatch == b.microbatch && a.chunk != b.chunk &&
                      std::abs(a.chunk - b.chunk) == 1 && a.action == b.action &&
                      a.action != Action::WeightGrad;
    // F then W of one micro-batch, or two parts of the same, depend on each other.
    if (uses || turn) {
      RC_ASSERT(find_deadlock(s).has_value());
    } else {
      // What steps through with blocking transfers also runs with free ones.
      ScheduleCosts free;
      free.chunks.resize(static_cast<std::size_t>(any.chunks()));
      free.stages.resize(static_cast<std::size_t>(any.stages));
      if (!find_deadlock(s)) RC_ASSERT(simulate_step(s, free).step.count() == 0);
    }
  }));
}

TEST(Interleaving, RefusesAShortLastGroup) {
  EXPECT_EQ(schedule_violation(ScheduleKind::Interleaved, {4, 2, 8}), std::nullopt);
  EXPECT_EQ(schedule_violation(ScheduleKind::Interleaved, {4, 2, 5}),
            "interleaving needs micro-batches that are a multiple of 4, found 5 (remainder 1)");
  // Groups of 6 on 4 stages: a last group of 4 will do, one of 2 will not.
  EXPECT_EQ(schedule_violation(ScheduleKind::Interleaved, {4, 2, 10, 6}), std::nullopt);
  EXPECT_NE(schedule_violation(ScheduleKind::Interleaved, {4, 2, 8, 6}), std::nullopt);
  EXPECT_NE(schedule_violation(ScheduleKind::Interleaved, {4, 2, 8, 3}), std::nullopt);
  EXPECT_THROW(build_schedule(ScheduleKind::Interleaved, 4, 2, 5), InputError);
  EXPECT_THROW(build_schedule(ScheduleKind::OneFOneB, 4, 2, 8), InputError);
  EXPECT_THROW(build_schedule(ScheduleKind::ZbV, 4, 1, 8), InputError);
  EXPECT_THROW(build_schedule(ScheduleKind::GPipe, 0, 1, 8), InputError);
  EXPECT_THROW(build_schedule(ScheduleKind::GPipe, 40'000, 1, 1), InputError);
  EXPECT_THROW(build_schedule(ScheduleKind::Interleaved, 2, 1000, 2'000'000), InputError);
}

TEST(Interleaving, AShortLastGroupIsADeadlockIndeed) {
  // The two cases that the rule is named for (p 4, v 3, m 5 and p 6, v 2, m 8), made in spite of
  // it.
  for (const PipelineShape shape : {PipelineShape{4, 3, 5}, PipelineShape{6, 2, 8}}) {
    std::vector<ComputeOrder> orders;
    for (int stage = 0; stage < shape.stages; ++stage) orders.push_back(interleaved(shape, stage));
    try {
      lower(ScheduleKind::Interleaved, shape, orders, {});
      FAIL() << "it completes";
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr("cannot complete: stage "));
      EXPECT_THAT(error.what(), HasSubstr("; stage "));  // at least two wait for each other
    }
  }
}

}  // namespace
}  // namespace meshplan::planner
