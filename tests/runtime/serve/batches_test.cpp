#include "runtime/serve/batches.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace meshplan::runtime {
namespace {

using planner::RequestWork;
using testing::ElementsAre;

TEST(Microbatches, CutDecodingByRequests) {
  const std::vector<RequestWork> five = {{0, 7, 1}, {1, 7, 1}, {2, 9, 1}, {3, 4, 1}, {4, 4, 1}};
  // 5 tokens in 2: the first takes 5 * 1 / 2 = 2.
  EXPECT_THAT(microbatches(five, 2),
              ElementsAre(ElementsAre(five[0], five[1]), ElementsAre(five[2], five[3], five[4])));
  EXPECT_THAT(microbatches(five, 1), ElementsAre(five));
}

TEST(Microbatches, CutAPromptInTheMiddle) {
  // 8 + 2 tokens in 4: 2, 3, 2, 3.
  EXPECT_THAT(
      microbatches({{0, 0, 8}, {1, 5, 1}, {2, 6, 1}}, 4),
      ElementsAre(ElementsAre(RequestWork{0, 0, 2}), ElementsAre(RequestWork{0, 2, 3}),
                  ElementsAre(RequestWork{0, 5, 2}),
                  ElementsAre(RequestWork{0, 7, 1}, RequestWork{1, 5, 1}, RequestWork{2, 6, 1})));
}

TEST(Microbatches, AreNotMoreThanTokens) {
  EXPECT_THAT(microbatches({{3, 9, 1}}, 4), ElementsAre(ElementsAre(RequestWork{3, 9, 1})));
}

TEST(SlotPlan, GivesTheLowestFreeSlotAgain) {
  // 0 and 1 start; 1 ends with its second token (first + tokens = 2 + 2 - 1), 2 takes its slot.
  planner::ServingSchedule schedule;
  schedule.requests = {{2, 4, 0}, {2, 2, 0}, {3, 2, 2}};
  schedule.steps = {{{}, {{0, 0, 2}, {1, 0, 2}}},
                    {{}, {{0, 2, 1}, {1, 2, 1}}},
                    {{}, {{2, 0, 3}, {0, 3, 1}}},
                    {{}, {{0, 4, 1}, {2, 3, 1}}}};
  const SlotPlan plan = slot_plan(schedule);
  EXPECT_THAT(plan.slot, ElementsAre(0, 1, 1));
  EXPECT_EQ(plan.slots, 2);
  EXPECT_EQ(plan.capacity, 6);
}

TEST(Batches, JoinRequestsSideBySideInTheCacheWithAsManyTokens) {
  const SlotPlan slots{{0, 1, 2, 4}, 5, 16};
  const std::vector<RequestWork> work = {{0, 5, 1}, {1, 5, 1}, {2, 6, 1}, {3, 6, 1}};
  EXPECT_THAT(batches(work, slots, {true, true, true, true}),
              ElementsAre(Batch{0, 2, 0, 5, 1, true},    // 0 and 1
                          Batch{2, 1, 2, 6, 1, true},    // 2 has one more token before
                          Batch{3, 1, 4, 6, 1, true}));  // 3 is not beside 2
  // The same chunk of prompts, one of which ends.
  EXPECT_THAT(batches(std::vector<RequestWork>{{0, 0, 4}, {1, 0, 4}}, slots, {true, false}),
              ElementsAre(Batch{0, 1, 0, 0, 4, true}, Batch{4, 1, 1, 0, 4, false}));
}

}  // namespace
}  // namespace meshplan::runtime
