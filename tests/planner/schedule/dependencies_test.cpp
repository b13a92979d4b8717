#include "planner/schedule/dependencies.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "planner/schedule/build_schedule.h"

namespace meshplan::planner {
namespace {

std::vector<Need> needs_of(const Schedule& s, int stage, Instruction i) {
  const Needs found = needs(s, stage, i);
  return {found.begin(), found.end()};
}

// ZB-V on two stages: chunks 0 and 3 on stage 0, 1 and 2 on stage 1.
TEST(Needs, TheTurnOfAVIsLocalAndTheRestIsReceived) {
  const Schedule s = build_schedule(ScheduleKind::ZbV, 2, 2, 3);
  const auto f = Action::Forward;
  EXPECT_EQ(needs_of(s, 0, compute(f, 0, 1)), (std::vector<Need>{}));
  EXPECT_EQ(needs_of(s, 1, compute(f, 1, 1)),
            (std::vector<Need>{{1, Action::ReceiveForward, 1, 1}}));
  EXPECT_EQ(needs_of(s, 1, compute(f, 2, 1)), (std::vector<Need>{{1, f, 1, 1}}));
  EXPECT_EQ(needs_of(s, 1, compute(Action::InputGrad, 1, 0)),
            (std::vector<Need>{{1, f, 1, 0}, {1, Action::InputGrad, 2, 0}}));
  EXPECT_EQ(needs_of(s, 1, compute(Action::InputGrad, 2, 0)),
            (std::vector<Need>{{1, f, 2, 0}, {1, Action::ReceiveBackward, 2, 0}}));
  EXPECT_EQ(needs_of(s, 1, compute(Action::Recompute, 2, 0)),
            (std::vector<Need>{{1, f, 2, 0}, {1, Action::ReceiveBackward, 2, 0}}));
  // The last chunk makes its own gradient from the loss.
  EXPECT_EQ(needs_of(s, 0, compute(Action::InputGrad, 3, 0)), (std::vector<Need>{{0, f, 3, 0}}));
  EXPECT_EQ(needs_of(s, 0, compute(Action::WeightGrad, 3, 0)),
            (std::vector<Need>{{0, Action::InputGrad, 3, 0}}));
}

TEST(Needs, AReceiveNeedsTheSendOfTheChunkBeforeOrAfter) {
  const Schedule s = build_schedule(ScheduleKind::OneFOneB, 3, 1, 2);
  EXPECT_EQ(
      needs_of(s, 1, {.action = Action::ReceiveForward, .peer = 0, .chunk = 1, .microbatch = 1}),
      (std::vector<Need>{{0, Action::SendForward, 0, 1}}));
  EXPECT_EQ(
      needs_of(s, 1, {.action = Action::ReceiveBackward, .peer = 2, .chunk = 1, .microbatch = 1}),
      (std::vector<Need>{{2, Action::SendBackward, 2, 1}}));
}

TEST(Needs, EveryTransferOfAScheduleHasItsOtherHalf) {
  for (const ScheduleKind kind :
       {ScheduleKind::GPipe, ScheduleKind::Interleaved, ScheduleKind::ZbV}) {
    const int v = kind == ScheduleKind::GPipe ? 1 : 2;
    const Schedule s = build_schedule(kind, 4, v, 8);
    for (int stage = 0; stage < s.stages; ++stage) {
      for (const Instruction& i : s.programs[static_cast<std::size_t>(stage)]) {
        if (!is_receive(i.action)) continue;
        const Need need = *needs(s, stage, i).begin();
        const auto& peer = s.programs[static_cast<std::size_t>(need.stage)];
        EXPECT_EQ(std::count_if(peer.begin(), peer.end(),
                                [&](const Instruction& other) {
                                  return other.action == need.action && other.chunk == need.chunk &&
                                         other.peer == stage && other.microbatch == need.microbatch;
                                }),
                  1);
      }
    }
  }
}

}  // namespace
}  // namespace meshplan::planner
