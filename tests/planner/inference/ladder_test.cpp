#include "planner/inference/ladder.h"

#include <gtest/gtest.h>

#include <map>

namespace meshplan::planner {
namespace {

TEST(Ladder, HasFourRungsToTheOctave) {
  const std::int64_t rungs[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40};
  for (std::size_t i = 0; i < std::size(rungs); ++i) EXPECT_EQ(rung(i), rungs[i]) << i;
}

TEST(Ladder, EveryCountStandsBetweenItsRungs) {
  for (double count = 1; count < 1e6; count *= 1.013) {
    const auto [below, share] = between_rungs(count);
    EXPECT_LE(static_cast<double>(rung(below)), count);
    EXPECT_GT(static_cast<double>(rung(below + 1)), count);
    EXPECT_NEAR(static_cast<double>(rung(below)) +
                    share * static_cast<double>(rung(below + 1) - rung(below)),
                count, 1e-9 * count);
  }
}

TEST(Ladder, ComputesRungsOnlyAndEachOnce) {
  Ladder<double> ladder;
  std::map<std::int64_t, int> asked;
  const auto square = [&](std::int64_t n) {
    ++asked[n];
    return static_cast<double>(n * n);
  };
  EXPECT_EQ(ladder.at(12, square), 144);
  EXPECT_EQ(ladder.at(11, square), (100 + 144) / 2.0);
  EXPECT_EQ(ladder.at(0.25, square), 1);
  EXPECT_EQ(asked, (std::map<std::int64_t, int>{{1, 1}, {10, 1}, {12, 1}}));
}

TEST(LadderGrid, IsLinearAlongBoth) {
  LadderGrid grid;
  const auto plane = [](std::int64_t x, std::int64_t y) {
    return 3.0 * static_cast<double>(x) + 0.5 * static_cast<double>(y);
  };
  for (const double x : {1.0, 5.0, 9.0, 100.5})
    for (const double y : {1.0, 17.0, 4097.0})
      EXPECT_NEAR(grid.at(x, y, plane), 3 * x + y / 2, 1e-9);
}

}  // namespace
}  // namespace meshplan::planner
