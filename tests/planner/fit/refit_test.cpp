#include "planner/fit/refit.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <vector>

#include "planner/cost/compute/gemm.h"
#include "planner/cost/compute/memory_bound.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

RefitRow row_of(OpClass op_class, double predicted, double measured) {
  RefitRow row{.measured = Seconds{measured}};
  row.by_class[static_cast<std::size_t>(op_class)] = Seconds{predicted};
  return row;
}

TEST(Refit, OneRunMovesHalfWay) {
  // Minimise (ln 2 - x)^2 + x^2 over x = ln f: x = ln 2 / 2, f = sqrt 2.
  const std::vector<RefitRow> rows = {row_of(OpClass::Gemm, 1, 2)};
  EXPECT_NEAR(refit(rows)[OpClass::Gemm], std::sqrt(2.0), 1e-9);
}

TEST(Refit, ManyRunsMoveAlmostAllTheWay) {
  // n runs: x = n / (n + 1) ln 2.
  for (const int n : {3, 12, 100}) {
    const std::vector<RefitRow> rows(n, row_of(OpClass::Attention, 1, 2));
    EXPECT_NEAR(refit(rows)[OpClass::Attention], std::exp(n / (n + 1.0) * std::log(2.0)), 1e-9);
  }
}

TEST(Refit, WhatNoRunShowsStays) {
  const std::vector<RefitRow> rows = {row_of(OpClass::Gemm, 1, 2)};
  const RefitFactors factors = refit(rows);
  EXPECT_EQ(factors[OpClass::Collective], 1);
  EXPECT_EQ(refit({})[OpClass::Gemm], 1);
}

TEST(Refit, WhatNoFactorChangesIsLeftAlone) {
  // 1 s of products in 10 s that are fixed, measured 10.9 s: f = 0.9 would explain it, but the row
  // says little of products: with slope s = f / (10 + f) about 1/11, x = s off / (1 + s^2).
  std::vector<RefitRow> rows = {row_of(OpClass::Gemm, 1, 10.9)};
  rows.front().rest = Seconds{10};
  const double factor = refit(rows)[OpClass::Gemm];
  EXPECT_LT(factor, 1);
  EXPECT_GT(factor, 0.99);
}

TEST(Refit, FindsFactorsFromMixedRuns) {
  EXPECT_TRUE(rc::check([] {
    const auto factor = [] { return 0.7 + 0.01 * *rc::gen::inRange(0, 80); };
    const double gemm = factor(), attention = factor(), memory = factor();
    std::vector<RefitRow> rows;
    for (int i = 0; i < 400; ++i) {
      RefitRow row;
      const double a = 1 + i % 7, b = 1 + i % 5, c = 1 + i % 3;
      row.by_class = {Seconds{a}, Seconds{b}, Seconds{c}, Seconds{0}, Seconds{0}};
      row.measured = Seconds{gemm * a + attention * b + memory * c};
      rows.push_back(row);
    }
    const RefitFactors found = refit(rows);
    // The pull towards 1 is one run in 400, spread over classes that look alike.
    RC_ASSERT(std::abs(std::log(found[OpClass::Gemm] / gemm)) < 0.05);
    RC_ASSERT(std::abs(std::log(found[OpClass::Attention] / attention)) < 0.05);
    RC_ASSERT(std::abs(std::log(found[OpClass::MemoryBound] / memory)) < 0.1);
  }));
}

profiles::DeviceProfile roofline() {
  profiles::DeviceProfile out;
  out.device.architecture = "cpu";
  out.device.peak[static_cast<std::size_t>(profiles::DataType::Fp32)] =
      profiles::FlopsPerSecond{1e12};
  out.device.memory_bandwidth = profiles::BytesPerSecond{1e11};
  out.device.multiprocessors = 1;
  out.gemm.tiles = {{8, 8, 0.5}};
  out.gemm.residual =
      profiles::LogGrid({{1.0, 1e6}, {1.0, 1e6}, {1.0, 1e6}}, std::vector<double>(8, 0.0));
  return out;
}

TEST(WithFactors, MakesOneClassSlowerByItsFactor) {
  const profiles::DeviceProfile before = roofline();
  RefitFactors factors;
  factors[OpClass::Gemm] = 1.5;
  const profiles::DeviceProfile gemm = with_factors(before, factors);
  const GemmShape shape{512, 512, 512};
  EXPECT_NEAR(gemm_time(shape, profiles::DataType::Fp32, gemm).time /
                  gemm_time(shape, profiles::DataType::Fp32, before).time,
              1.5, 1e-9);
  const profiles::Bytes large{1'000'000'000};
  EXPECT_EQ(memory_bound_time(large, gemm).time, memory_bound_time(large, before).time);

  factors = {};
  factors[OpClass::MemoryBound] = 1.5;
  const profiles::DeviceProfile memory = with_factors(before, factors);
  // Besides 2.3 us of launch.
  EXPECT_NEAR(memory_bound_time(large, memory).time / memory_bound_time(large, before).time, 1.5,
              0.01);
}

}  // namespace
}  // namespace meshplan::planner
