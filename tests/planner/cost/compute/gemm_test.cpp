#include "planner/cost/compute/gemm.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "planner/cost/compute/cache.h"
#include "planner/cost/compute/overlap.h"
#include "planner/cost/compute/waves.h"
#include "profiles/data_files.h"
#include "profiles/device_json.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::BytesPerSecond;
using profiles::DataType;
using profiles::DeviceProfile;
using profiles::FlopsPerSecond;
using profiles::Seconds;

/// Ten multiprocessors of 1e12 FLOP/s, 1e12 B/s, no L2 to speak of, one perfect 128 x 128 tile.
DeviceProfile simple_profile() {
  DeviceProfile p;
  p.device.multiprocessors = 10;
  p.device.peak[static_cast<std::size_t>(DataType::Fp32)] = FlopsPerSecond{1e12};
  p.device.peak[static_cast<std::size_t>(DataType::Bf16)] = FlopsPerSecond{10e12};
  p.device.memory_bandwidth = BytesPerSecond{1e12};
  p.device.l2_cache = Bytes{1};
  p.gemm.launch = Seconds{1e-6};
  p.gemm.vector_launch = Seconds{2e-6};
  p.gemm.tile_overhead = p.gemm.area_overhead = p.gemm.split_overhead = Seconds{1e-12};
  p.gemm.quantisation = 1;
  p.gemm.memory_efficiency = p.gemm.store_efficiency = 1;
  p.gemm.l2_bandwidth = 1;
  p.gemm.raster_width = 1e9;
  p.gemm.block_bandwidth = 100;
  p.gemm.overlap = 100;  // the longer time alone
  p.gemm.tiles = {{128, 128, 1.0}};
  p.sustained_clock_factor = 0.5;
  return p;
}

double microseconds(const Estimate& e) { return e.time.count() * 1e6; }

TEST(Waves, LastWaveCostsBetweenItsShareAndAFullOne) {
  EXPECT_DOUBLE_EQ(waves(3, 10, 1), 1);     // never less than one
  EXPECT_DOUBLE_EQ(waves(15, 10, 0), 1.5);  // only its share
  EXPECT_DOUBLE_EQ(waves(15, 10, 1), 2);    // a full one
  EXPECT_DOUBLE_EQ(waves(15, 10, 0.5), 1.75);
}

TEST(Overlapped, AddsAtOneAndTakesTheLongerAtLargePowers) {
  EXPECT_DOUBLE_EQ(overlapped(3e-6, 4e-6, 1), 7e-6);
  EXPECT_DOUBLE_EQ(overlapped(3e-6, 4e-6, 2), 5e-6);
  EXPECT_NEAR(overlapped(3e-6, 4e-6, 100), 4e-6, 1e-18);  // no underflow of 1e-600
  EXPECT_EQ(overlapped(0, 0, 3), 0);
}

TEST(GemmTime, OneWaveOfTiles) {
  // 10 tiles on 10 multiprocessors, each 2 * 128 * 128 * 1024 FLOPs at 1e12: 33.55 us; launch 1 us.
  // Memory: (1280 + 128) * 1024 * 2 B + 1280 * 128 * 2 B = 3.2 MB, 3.2 us: hidden.
  EXPECT_NEAR(microseconds(gemm_time({1280, 128, 1024}, DataType::Bf16, simple_profile())),
              1 + 33.554432, 1e-3);
}

TEST(GemmTime, OneTileMoreCostsASecondWave) {
  // 11 tiles: two waves. Cut in 2 along k they would be 22 blocks, more than two to a
  // multiprocessor, where no library cuts k.
  EXPECT_NEAR(microseconds(gemm_time({1281, 128, 1024}, DataType::Bf16, simple_profile())),
              1 + 2 * 33.554432, 1e-3);
}

TEST(GemmTime, FewTilesAreCutAlongK) {
  // One tile of 2 * 128 * 128 * 8192 FLOPs would take 268 us. In 16 parts: 16 blocks on 10
  // multiprocessors are two rounds of 16.8 us; partial sums 8 B * 128 * 128 * 16 = 2.1 MB and
  // operands 4.2 MB hide behind them. In 8 parts: one round of 33.6 us, the same.
  EXPECT_NEAR(microseconds(gemm_time({128, 128, 8192}, DataType::Bf16, simple_profile())),
              1 + 268.435456 / 8, 1e-3);
}

TEST(GemmTime, ThinProductsReadTheirWeights) {
  // m = 1: B has 8192 * 8192 * 2 B = 134.2 MB at 1e12 B/s, A and C 32 KB more: 134.25 us.
  // One row of 64 tiles computes 2 * 128 * 128 * 8192 FLOPs each: 7 waves of 268 us would hide
  // nothing, so give the device tensor cores to spare.
  auto profile = simple_profile();
  profile.device.peak[static_cast<std::size_t>(DataType::Bf16)] = FlopsPerSecond{1e18};
  EXPECT_NEAR(microseconds(gemm_time({1, 8192, 8192}, DataType::Bf16, profile)), 2 + 134.25, 0.05);
}

TEST(GemmTime, TheTileIsTheOneThatIsFastestAltogether) {
  // 2 * 128 * 128 * 1024 FLOPs at 1e14 take 0.336 us on the better tile, 1.678 us on the other:
  // both less than the 3.21 us of memory, but at overlap 1 nothing hides behind it.
  auto profile = simple_profile();
  profile.device.peak[static_cast<std::size_t>(DataType::Bf16)] = FlopsPerSecond{1000e12};
  profile.gemm.overlap = 1;
  profile.gemm.tiles = {{128, 128, 0.2}, {128, 128, 1.0}};
  const double memory = ((1280 + 128) * 1024 * 2 + 1280 * 128 * 2) / 1e6;
  EXPECT_NEAR(microseconds(gemm_time({1280, 128, 1024}, DataType::Bf16, profile)),
              1 + memory + 0.33554432, 1e-3);
}

TEST(HeldShare, FallsWithinAFewPercentOfTheCapacity) {
  EXPECT_EQ(held_share(1, 1), 0.5);
  EXPECT_GT(held_share(0.87, 1), 0.9);  // 0.87^16 = 0.108
  EXPECT_LT(held_share(1.15, 1), 0.1);  // 1.15^16 = 9.36
}

TEST(GemmTime, SustainedClocksSlowTensorCoresOnly) {
  const auto profile = simple_profile();  // factor 0.5
  const GemmShape compute_bound{1280, 128, 1024};
  EXPECT_NEAR(microseconds(gemm_time(compute_bound, DataType::Bf16, profile, Clocks::Sustained)),
              1 + 2 * 33.554432, 1e-3);
}

TEST(GemmTime, ResidualMultiplies) {
  auto profile = simple_profile();
  profile.gemm.residual = profiles::LogGrid({{1280}, {128}, {1024}}, {std::log(1.5)});
  EXPECT_NEAR(microseconds(gemm_time({1280, 128, 1024}, DataType::Bf16, profile)),
              1.5 * (1 + 33.554432), 1e-3);
}

TEST(GemmTime, NoResidualPassesTheFloor) {
  auto profile = simple_profile();
  profile.gemm.residual = profiles::LogGrid({{1}, {1}, {1}}, {-5});
  const GemmShape shape{1280, 1280, 1280};
  // 2 * 1280^3 FLOPs at 1e13 FLOP/s
  EXPECT_NEAR(microseconds(gemm_time(shape, DataType::Bf16, profile)), 419.4304, 1e-6);
}

TEST(GemmTime, BorrowedConstantsAndOtherFormatsAreExtrapolated) {
  auto profile = simple_profile();
  profile.gemm.residual = profiles::LogGrid({{1, 4096}, {1, 4096}, {1, 4096}}, std::vector(8, 0.0));
  profile.gemm.record.spread = 0.1;
  profile.fitted = true;
  EXPECT_EQ(gemm_time({64, 64, 64}, DataType::Bf16, profile).provenance, Provenance::Interpolated);
  EXPECT_DOUBLE_EQ(gemm_time({64, 64, 64}, DataType::Bf16, profile).spread, 0.1);
  EXPECT_EQ(gemm_time({64, 64, 8192}, DataType::Bf16, profile).provenance,
            Provenance::Extrapolated);
  EXPECT_EQ(gemm_time({64, 64, 64}, DataType::Fp8, profile).provenance, Provenance::Extrapolated);
  profile.fitted = false;
  const Estimate borrowed = gemm_time({64, 64, 64}, DataType::Bf16, profile);
  EXPECT_EQ(borrowed.provenance, Provenance::Extrapolated);
  EXPECT_DOUBLE_EQ(borrowed.spread, 0.15);
}

/// Every device that has a file, with the profile it would get.
std::vector<DeviceProfile> all_profiles() {
  const profiles::DataFiles files;
  std::vector<DeviceProfile> out;
  for (const std::string& id : files.names("devices")) {
    out.push_back(profiles::load_profile(profiles::load_device(id, files), files));
  }
  return out;
}

GemmShape any_shape() {
  const auto size = [](int most) {
    return static_cast<std::int64_t>(std::exp(*rc::gen::inRange(0, most) / 1000.0));
  };
  return {size(11000), size(11500), size(11500), *rc::gen::element(1, 1, 1, 8, 96)};
}

TEST(GemmTime, NeverBeatsPeakOrMemoryOnAnyDevice) {
  const auto all = all_profiles();
  ASSERT_FALSE(all.empty());
  EXPECT_TRUE(rc::check([&] {
    const GemmShape s = any_shape();
    const DataType type = *rc::gen::element(DataType::Fp32, DataType::Bf16, DataType::Fp8);
    const DeviceProfile& profile = *rc::gen::elementOf(all);
    const double flops = 2.0 * s.batch * static_cast<double>(s.m) * static_cast<double>(s.n) *
                         static_cast<double>(s.k);
    const double bytes = profiles::bits(type) / 8.0 * s.batch * static_cast<double>(s.k) *
                         static_cast<double>(s.m + s.n);
    const double seconds = gemm_time(s, type, profile).time.count();
    RC_ASSERT(seconds * (1 + 1e-12) >= flops / profile.device.peak_at(type).rate);
    RC_ASSERT(seconds * (1 + 1e-12) >=
              (bytes - static_cast<double>(profile.device.l2_cache.count)) /
                  profile.device.memory_bandwidth.rate);
    RC_ASSERT(seconds > 0 && std::isfinite(seconds));
    RC_ASSERT(gemm_time(s, type, profile, Clocks::Sustained).time.count() * (1 + 1e-12) >=
              flops / profile.device.peak_at(type).rate);
  }));
}

TEST(GemmTime, EightTimesTheWorkIsNeverMuchFaster) {
  // Neighbouring shapes may cross a wave; doubling every side may not pay off. Launch-bound shapes
  // follow the measured residuals, which scatter by up to a fifth.
  const auto all = all_profiles();
  EXPECT_TRUE(rc::check([&] {
    GemmShape s = any_shape();
    // A product with one or a few rows or columns runs other kernels than the doubled one.
    s.m = std::max<std::int64_t>(s.m, 64);
    s.n = std::max<std::int64_t>(s.n, 64);
    const DeviceProfile& profile = *rc::gen::elementOf(all);
    const Seconds small = gemm_time(s, DataType::Bf16, profile).time;
    s.m *= 2;
    s.n *= 2;
    s.k *= 2;
    RC_ASSERT(gemm_time(s, DataType::Bf16, profile).time.count() >= 0.8 * small.count());
  }));
}

}  // namespace
}  // namespace meshplan::planner
