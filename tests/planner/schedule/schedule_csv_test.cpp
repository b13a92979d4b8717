#include "planner/schedule/schedule_csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "planner/schedule/deadlock.h"
#include "profiles/input_error.h"
#include "tests/planner/schedule/any_schedule.h"

namespace meshplan::planner {
namespace {

using profiles::InputError;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

std::string refusal(const std::string& csv) {
  try {
    schedule_from_csv(csv, "s.csv");
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ScheduleCsv, IsTheFormOfTorchPipelining) {
  EXPECT_EQ(schedule_csv(build_schedule(ScheduleKind::OneFOneB, 2, 1, 2)),
            "0F0,0F1,0B0,0B1\n1F0,1B0,1F1,1B1\n");
  // Split backward: I and W.
  EXPECT_EQ(schedule_csv(build_schedule(ScheduleKind::ZbH1, 2, 1, 2)),
            "0F0,0F1,0I0,0W0,0I1,0W1\n1F0,1I0,1F1,1I1,1W0,1W1\n");
}

TEST(ScheduleCsv, WhatIsWrittenIsReadBackTheSame) {
  EXPECT_TRUE(rc::check([] {
    AnySchedule any = *any_schedule();
    const Schedule s = built(any);
    const Schedule back = schedule_from_csv(schedule_csv(s), "s.csv", any.options);
    RC_ASSERT(back.stages == s.stages);
    RC_ASSERT(back.chunks_per_stage == s.chunks_per_stage);
    RC_ASSERT(back.microbatches == s.microbatches);
    RC_ASSERT(back.programs == s.programs);
  }));
}

TEST(ScheduleCsv, IdleCellsBlankLinesAndSpacesArePassedOver) {
  const Schedule s = schedule_from_csv("0F0, ,,0B0\r\n\n,1F0,1B0\n", "s.csv");
  EXPECT_EQ(schedule_csv(s), "0F0,0B0\n1F0,1B0\n");
}

TEST(ScheduleCsv, WithoutBackwardItIsForwardOnly) {
  const Schedule s = schedule_from_csv("0F0,0F1\n1F0,1F1\n", "s.csv");
  EXPECT_TRUE(s.forward_only);
  EXPECT_EQ(s.programs[1].back().action, Action::Forward);
}

TEST(ScheduleCsv, HandMadeOrdersMayMixWholeAndSplitBackward) {
  const Schedule s = schedule_from_csv("0F0,0F1,0B0,0B1\n1F0,1I0,1F1,1B1,1W0\n", "s.csv");
  EXPECT_FALSE(find_deadlock(s).has_value());
}

TEST(ScheduleCsv, CorruptInputIsRefusedInOneLineWithItsPlace) {
  EXPECT_EQ(refusal(""), "s.csv: expected one row of cells such as 0F0 a rank, found nothing");
  EXPECT_EQ(refusal("0F0,0B0\n1F0,1X0\n"),
            "s.csv:2: expected a cell <chunk><F|I|W|B><micro-batch> such as 0F0, found '1X0'");
  EXPECT_THAT(refusal("0F0,0B0,0F0\n"), StartsWith("s.csv:1: expected each part"));
  EXPECT_THAT(refusal("0F0,0B0,0W0\n"), StartsWith("s.csv:1: expected each part"));
  EXPECT_EQ(refusal("0F0,0B0\n0F1,0B1\n"),
            "s.csv:2: expected chunk 0 on one row only, found it here and on line 1");
  EXPECT_EQ(refusal("0F0,0F1,0B0\n"), "s.csv: expected 0I1 (or B), found none");
  EXPECT_THAT(refusal("0F0,0B0\n1F0,1B0\n,2F0,2B0,"), StartsWith("accepted"));
  EXPECT_THAT(refusal("0F0,0B0,1F0,1B0\n2F0,2B0,3F0,3B0\n"), HasSubstr("round robin"));
  for (const char* cell :
       {"0F", "F0", "0F-1", "0F0x", "00", "99999F0", "0F99999999999", "0SEND_F0", "0 F0", "-1F0"}) {
    EXPECT_THAT(refusal(cell), AllOf(StartsWith("s.csv:1: expected a cell"), HasSubstr(cell)));
  }
}

TEST(ScheduleCsv, ANumberAloneMakesNoTableLargerThanTheFile) {
  // 32001 * 16000001
  EXPECT_EQ(refusal("32000F16000000\n"),
            "s.csv: expected 512016032001 forwards for 32001 chunks and 16000001 micro-batches, "
            "found 1 cells");
}

TEST(ScheduleCsv, AnOrderThatCannotCompleteNamesWhoWaits) {
  // Stage 0 wants the gradient of micro-batch 1 before it runs its forward.
  EXPECT_EQ(refusal("0F0,0B1,0F1,0B0\n1F0,1F1,1B0,1B1\n"),
            "s.csv: the schedule cannot complete: stage 0 waits with backward of chunk 0 "
            "micro-batch 1 (instruction 1) for what comes later in its own list or never");
}

TEST(ScheduleCsv, AnyBytesAreReadOrRefused) {
  EXPECT_TRUE(rc::check([] {
    const auto piece = rc::gen::element<std::string>("0F0", "0B0", "1F0", "1B0", "0F1", "0I0",
                                                     "1W0", ",", "\n", "", " ", "9", "B", "2F1");
    const auto pieces = *rc::gen::container<std::vector<std::string>>(piece);
    std::string csv;
    for (const auto& p : pieces) csv += p + (*rc::gen::arbitrary<bool>() ? "," : "");
    try {
      const Schedule s = schedule_from_csv(csv, "s.csv");
      RC_ASSERT(!find_deadlock(s).has_value());
    } catch (const InputError&) {
    }
  }));
}

}  // namespace
}  // namespace meshplan::planner
