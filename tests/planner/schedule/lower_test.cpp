#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <set>
#include <tuple>

#include "planner/schedule/build_schedule.h"
#include "planner/schedule/deadlock.h"
#include "planner/schedule/dependencies.h"
#include "profiles/input_error.h"
#include "tests/planner/schedule/any_schedule.h"

namespace meshplan::planner {
namespace {

std::string words(const std::vector<Instruction>& program) {
  std::string out;
  for (const Instruction& i : program) {
    if (!out.empty()) out += ", ";
    out += described(i);
    if (i.group >= 0) out += " group " + std::to_string(i.group);
  }
  return out;
}

TEST(Lower, TwoStagesTwoMicrobatchesByHand) {
  // Stage 0 runs F0 F1 B0 B1, stage 1 runs F0 B0 F1 B1. Stage 0 ends F1 while stage 1 runs F0, so
  // stage 1 is handed micro-batch 1 with its list at "F0"; the gradient of micro-batch 0 comes when
  // stage 0 has nothing left but to wait for it, so its receive joins the last send in one group.
  const Schedule s = build_schedule(ScheduleKind::OneFOneB, 2, 1, 2);
  EXPECT_EQ(words(s.programs[0]),
            "forward of chunk 0 micro-batch 0, "
            "send forward of chunk 0 micro-batch 0, "
            "forward of chunk 0 micro-batch 1, "
            "send forward of chunk 0 micro-batch 1 group 0, "
            "receive backward of chunk 0 micro-batch 0 group 0, "
            "backward of chunk 0 micro-batch 0, "
            "receive backward of chunk 0 micro-batch 1, "
            "backward of chunk 0 micro-batch 1, "
            "gradient reduce of chunk 0, optimizer sync, optimizer step");
  EXPECT_EQ(words(s.programs[1]),
            "receive forward of chunk 1 micro-batch 0, "
            "forward of chunk 1 micro-batch 0, "
            "receive forward of chunk 1 micro-batch 1, "
            "backward of chunk 1 micro-batch 0, "
            "send backward of chunk 1 micro-batch 0, "
            "forward of chunk 1 micro-batch 1, "
            "backward of chunk 1 micro-batch 1, "
            "send backward of chunk 1 micro-batch 1, "
            "gradient reduce of chunk 1, optimizer sync, optimizer step");
}

TEST(Lower, SteadyStateSendsAndReceivesInOneGroup) {
  // 1F1B, stage 1 of 3: each steady forward is followed by its send and the receive of the gradient
  // that the next backward needs, and each backward by the mirror image, as one group each.
  const Schedule s = build_schedule(ScheduleKind::OneFOneB, 3, 1, 6);
  int pairs = 0;
  const auto& list = s.programs[1];
  for (std::size_t k = 1; k < list.size(); ++k) {
    if (list[k].group < 0 || list[k].group != list[k - 1].group) continue;
    if (is_send(list[k - 1].action) != is_send(list[k].action)) ++pairs;
  }
  EXPECT_GE(pairs, 6);
}

TEST(Lower, ChunksOfOneStageSendNothing) {
  const Schedule v = build_schedule(ScheduleKind::ZbV, 1, 2, 3);
  for (const Instruction& i : v.programs[0]) EXPECT_FALSE(is_transfer(i.action));
  // The turn of the V, chunks 1 and 2 on stage 1 of 2, is local: stage 1 sends only chunk 2's
  // output and chunk 1's gradient.
  const Schedule turn = build_schedule(ScheduleKind::ZbV, 2, 2, 3);
  for (const Instruction& i : turn.programs[1]) {
    if (is_send(i.action)) {
      EXPECT_EQ(i.chunk, i.action == Action::SendForward ? 2 : 1);
    }
  }
}

/// Every compute instruction once on the stage that owns it, every transfer once on both sides, and
/// nothing else: counted against the definition, not against the generators.
void expect_complete(const Schedule& s, bool recompute) {
  std::map<std::tuple<int, int, int>, int> seen;  // action, chunk, micro-batch
  for (int stage = 0; stage < s.stages; ++stage) {
    for (const Instruction& i : s.programs[static_cast<std::size_t>(stage)]) {
      if (i.chunk >= 0) RC_ASSERT(s.chunks[static_cast<std::size_t>(i.chunk)].stage == stage);
      ++seen[{static_cast<int>(i.action), i.chunk, i.microbatch}];
    }
  }
  const bool split =
      s.kind == ScheduleKind::ZbH1 || s.kind == ScheduleKind::ZbH2 || s.kind == ScheduleKind::ZbV;
  const auto times = [&](Action a, int chunk, int microbatch) {
    return seen[{static_cast<int>(a), chunk, microbatch}];
  };
  for (int c = 0; c < s.chunk_count(); ++c) {
    const auto stage_of = [&](int chunk) {
      return s.chunks[static_cast<std::size_t>(chunk)].stage;
    };
    const bool from_before = c > 0 && stage_of(c - 1) != stage_of(c);
    const bool to_next = c + 1 < s.chunk_count() && stage_of(c + 1) != stage_of(c);
    const bool trains = !s.forward_only;
    for (int k = 0; k < s.microbatches; ++k) {
      RC_ASSERT(times(Action::Forward, c, k) == 1);
      RC_ASSERT(times(Action::Backward, c, k) == (trains && !split ? 1 : 0));
      RC_ASSERT(times(Action::InputGrad, c, k) == (trains && split ? 1 : 0));
      RC_ASSERT(times(Action::WeightGrad, c, k) == (trains && split ? 1 : 0));
      RC_ASSERT(times(Action::Recompute, c, k) == (trains && recompute ? 1 : 0));
      RC_ASSERT(times(Action::ReceiveForward, c, k) == (from_before ? 1 : 0));
      RC_ASSERT(times(Action::SendForward, c, k) == (to_next ? 1 : 0));
      RC_ASSERT(times(Action::SendBackward, c, k) == (trains && from_before ? 1 : 0));
      RC_ASSERT(times(Action::ReceiveBackward, c, k) == (trains && to_next ? 1 : 0));
    }
  }
}

TEST(Lower, EverythingOnceAndNoDeadlockForAnyLegalDegrees) {
  EXPECT_TRUE(rc::check([] {
    const AnySchedule any = *any_schedule();
    ScheduleOptions options = any.options;
    options.forward_only = *rc::gen::arbitrary<bool>();
    options.recompute = !options.forward_only && *rc::gen::arbitrary<bool>();
    options.overlap_gradient_reduce = *rc::gen::arbitrary<bool>();
    const Schedule s =
        build_schedule(any.kind, any.stages, any.chunks_per_stage, any.microbatches, options);
    expect_complete(s, options.recompute);
    const auto deadlock = find_deadlock(s);
    if (deadlock) RC_FAIL(deadlock->message);
  }));
}

TEST(Lower, NoDeadlockWithoutGroupsEither) {
  EXPECT_TRUE(rc::check([] {
    Schedule s = built(*any_schedule());
    for (auto& program : s.programs) {
      for (Instruction& i : program) i.group = -1;
    }
    const auto deadlock = find_deadlock(s);
    if (deadlock) RC_FAIL(deadlock->message);
  }));
}

TEST(Lower, ListsAreAllocatedOnceAtTheirFinalSize) {
  EXPECT_TRUE(rc::check([] {
    const Schedule s = built(*any_schedule());
    for (const auto& program : s.programs) RC_ASSERT(program.capacity() == program.size());
  }));
}

TEST(Lower, GradientBucketsFollowTheLastWeightGradientWhenTheyOverlap) {
  ScheduleOptions options;
  options.overlap_gradient_reduce = true;
  options.chunks.resize(4);
  for (ChunkFacts& facts : options.chunks) {
    facts.gradient_buckets = 2;
    facts.gather_buckets = 1;
  }
  const Schedule s = build_schedule(ScheduleKind::Interleaved, 2, 2, 2, options);
  const auto& list = s.programs[0];
  EXPECT_EQ(list[0].action, Action::ParameterGather);
  EXPECT_EQ(list[0].chunk, 0);
  EXPECT_EQ(list[1].chunk, 2);
  // Chunk 2's last backward precedes chunk 0's first, so its two buckets do too.
  std::vector<int> reduced;
  int backwards_after_first_reduce = 0;
  for (const Instruction& i : list) {
    if (i.action == Action::GradientReduce) reduced.push_back(10 * i.chunk + i.peer);
    if (i.action == Action::Backward && !reduced.empty()) ++backwards_after_first_reduce;
  }
  EXPECT_EQ(reduced, (std::vector<int>{20, 21, 0, 1}));
  EXPECT_EQ(backwards_after_first_reduce, 2);
}

TEST(Lower, PostValidatedStepsDoNotWaitForEachOther) {
  ScheduleOptions options;
  options.global_sync = false;
  const Schedule s = build_schedule(ScheduleKind::ZbH2, 3, 1, 6, options);
  for (const auto& program : s.programs) {
    EXPECT_EQ(program.back().action, Action::OptimizerStep);
    for (const Instruction& i : program) EXPECT_NE(i.action, Action::OptimizerSync);
  }
}

}  // namespace
}  // namespace meshplan::planner
