#include "profiles/log_grid.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace meshplan::profiles {
namespace {

TEST(LogGrid, IsLinearInTheLogarithms) {
  const LogGrid grid({{1, 16}, {1, 100}}, {0, 2, 4, 6});
  EXPECT_DOUBLE_EQ(grid.at(std::vector{1.0, 1.0}).value, 0);
  EXPECT_DOUBLE_EQ(grid.at(std::vector{16.0, 100.0}).value, 6);
  // Halfway in ln on both axes: 4 of 16, 10 of 100; the mean of all four.
  EXPECT_DOUBLE_EQ(grid.at(std::vector{4.0, 10.0}).value, 3);
}

TEST(LogGrid, StaysConstantOutsideAndSaysSo) {
  const LogGrid grid({{2, 8}}, {1, 3});
  EXPECT_EQ(grid.at(std::vector{1.0}).value, 1);
  EXPECT_EQ(grid.at(std::vector{1000.0}).value, 3);
  EXPECT_FALSE(grid.at(std::vector{1.0}).inside);
  EXPECT_TRUE(grid.at(std::vector{8.0}).inside);
  EXPECT_TRUE(grid.at(std::vector{4.0}).inside);
}

TEST(LogGrid, CornersMixToTheSameValue) {
  const LogGrid grid({{1, 2, 8}, {1, 3}, {5, 7, 9}},
                     {1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 3, 5, 7, 9, 2, 4, 6, 8});
  const std::vector<double> shape = {3.3, 1.7, 8.1};
  double mixed = 0, weights = 0;
  for (const auto& corner : grid.corners(shape)) {
    mixed += corner.weight * grid.values()[corner.index];
    weights += corner.weight;
  }
  EXPECT_NEAR(weights, 1, 1e-12);
  EXPECT_NEAR(mixed, grid.at(shape).value, 1e-12);
}

TEST(LogGrid, WithoutAxesIsZero) { EXPECT_EQ(LogGrid().at({}).value, 0); }

TEST(LogGrid, RefusesWhatIsNoGrid) {
  EXPECT_THROW(LogGrid({{1, 2}}, {0}), std::invalid_argument);
  EXPECT_THROW(LogGrid({{2, 1}}, {0, 0}), std::invalid_argument);
  EXPECT_THROW(LogGrid({{0, 1}}, {0, 0}), std::invalid_argument);
  EXPECT_THROW(LogGrid({{}}, {}), std::invalid_argument);
}

}  // namespace
}  // namespace meshplan::profiles
