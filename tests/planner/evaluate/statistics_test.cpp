#include "planner/evaluate/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace meshplan::planner {
namespace {

TEST(Quantile, InterpolatesBetweenNeighbours) {
  EXPECT_DOUBLE_EQ(quantile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile({1, 2, 3, 4, 5}, 0.9), 4.6);  // 0.9 * 4 = 3.6 -> 4 + 0.6
  EXPECT_DOUBLE_EQ(quantile({7}, 0.95), 7);
  EXPECT_DOUBLE_EQ(quantile({}, 0.5), 0);
}

TEST(Summarise, SeparatesSizeAndBias) {
  const ErrorSummary s = summarise({-0.1, 0.2, 0.2}, 5);
  EXPECT_EQ(s.runs, 5);
  EXPECT_EQ(s.predicted, 3);
  EXPECT_NEAR(s.mape, 0.5 / 3, 1e-15);
  EXPECT_NEAR(s.bias, 0.1, 1e-15);
  EXPECT_DOUBLE_EQ(s.median, 0.2);
}

TEST(RankCorrelation, IsSpearmans) {
  EXPECT_DOUBLE_EQ(*rank_correlation({1, 2, 3, 4}, {10, 20, 30, 1000}), 1.0);
  EXPECT_DOUBLE_EQ(*rank_correlation({1, 2, 3}, {3, 2, 1}), -1.0);
  // Ranks 1 2 3 4 against 2 1 4 3: 1 - 6 * 4 / (4 * 15) = 0.6.
  EXPECT_DOUBLE_EQ(*rank_correlation({1, 2, 3, 4}, {2, 1, 4, 3}), 0.6);
}

TEST(RankCorrelation, TiesShareTheirRank) {
  // 1.5 1.5 3 against 1 2 3: covariance 1.5, variances 1.5 and 2.
  EXPECT_NEAR(*rank_correlation({5, 5, 9}, {1, 2, 3}), 1.5 / std::sqrt(1.5 * 2), 1e-15);
  EXPECT_EQ(rank_correlation({1, 1}, {1, 2}), std::nullopt);
  EXPECT_EQ(rank_correlation({1}, {1}), std::nullopt);
}

}  // namespace
}  // namespace meshplan::planner
