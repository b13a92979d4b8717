#include "planner/inference/experts_touched.h"

#include <gtest/gtest.h>

namespace meshplan::planner {
namespace {

TEST(ExpertsTouched, OneTokenTouchesItsOwn) { EXPECT_DOUBLE_EQ(experts_touched(128, 8, 1), 8); }

TEST(ExpertsTouched, TwoTokensMayMeet) {
  // Four experts, one a token: the second token meets the first with probability 1/4, so 1 + 3/4.
  EXPECT_DOUBLE_EQ(experts_touched(4, 1, 2), 1.75);
}

TEST(ExpertsTouched, ManyTokensTouchAll) {
  EXPECT_NEAR(experts_touched(128, 8, 1000), 128, 1e-9);
  EXPECT_DOUBLE_EQ(experts_touched(8, 8, 1), 8);
}

}  // namespace
}  // namespace meshplan::planner
