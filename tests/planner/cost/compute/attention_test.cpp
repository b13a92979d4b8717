#include "planner/cost/compute/attention.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "planner/cost/compute/gemm.h"
#include "planner/cost/compute/memory_bound.h"
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
using enum AttentionPass;
using enum AttentionKernel;

/// Ten multiprocessors of 1e12 FLOP/s, memory that costs nothing, tiles of 128 queries at half
/// peak.
DeviceProfile simple_profile() {
  DeviceProfile p;
  p.device.compute_capability = 80;
  p.device.multiprocessors = 10;
  p.device.peak[static_cast<std::size_t>(DataType::Fp32)] = FlopsPerSecond{1e12};
  p.device.peak[static_cast<std::size_t>(DataType::Bf16)] = FlopsPerSecond{10e12};
  p.device.memory_bandwidth = BytesPerSecond{1e18};
  p.device.l2_cache = Bytes{1};
  p.attention.launch = Seconds{1e-6};
  p.attention.block_overhead = p.attention.token = Seconds{0};
  p.attention.quantisation = 0;
  p.attention.block_rate = 1e6;
  p.attention.overlap = 100;
  p.attention.backward_efficiency = 0.5;
  p.attention.head_dims = {{64, 0.25}, {128, 0.5}};
  p.gemm.tiles = {{128, 128, 1.0}};
  return p;
}

AttentionShape square(std::int64_t batch, std::int64_t length, int heads, bool causal) {
  return {batch, length, length, heads, heads, 128, 128, causal};
}

double forward_microseconds(const AttentionShape& s, const DeviceProfile& p) {
  return attention_time(s, Forward, Flash, DataType::Bf16, p).time.count() * 1e6;
}

TEST(AttentionTime, FullSquare) {
  // 10 heads x 1024^2 pairs x 4 * 128 FLOPs = 5.3687e9 at 5e12 FLOP/s: 1073.74 us; launch 1 us.
  EXPECT_NEAR(forward_microseconds(square(1, 1024, 10, false), simple_profile()), 1 + 1073.7418,
              1e-3);
}

TEST(AttentionTime, CausalSkipsTheTilesThatAreMaskedWhole) {
  // 8 x 8 tiles, of which 8 * 9 / 2 = 36 of 64 are computed.
  EXPECT_NEAR(forward_microseconds(square(1, 1024, 10, true), simple_profile()),
              1 + 1073.7418 * 36 / 64, 1e-3);
}

TEST(AttentionTime, LastQueriesSeeAllKeys) {
  // 128 queries at the end of 1024 keys: one row of 8 tiles, all of them computed.
  AttentionShape s = square(1, 128, 10, true);
  s.kv_len = 1024;
  EXPECT_NEAR(forward_microseconds(s, simple_profile()), 1 + 1073.7418 / 8, 1e-3);
}

TEST(AttentionTime, EfficiencyIsInterpolatedBetweenHeadDimensions) {
  // 96 lies log2(1.5) = 0.585 of the way from 64 to 128: 0.25 + 0.585 * 0.25 = 0.3962.
  AttentionShape s = square(1, 1024, 10, false);
  s.head_dim = s.value_head_dim = 96;
  EXPECT_NEAR(forward_microseconds(s, simple_profile()),
              1 + 10.0 * 1024 * 1024 * 4 * 96 / (10e12 * 0.39624) * 1e6, 0.1);
}

TEST(AttentionTime, BackwardHasTwoAndAHalfTimesTheFlopsAtItsOwnEfficiency) {
  const Estimate backward =
      attention_time(square(1, 1024, 10, false), Backward, Flash, DataType::Bf16, simple_profile());
  EXPECT_NEAR(backward.time.count() * 1e6, 1 + 1073.7418 * 2.5 / 0.5, 1e-2);
  EXPECT_EQ(backward.provenance, Provenance::Extrapolated);
}

TEST(AttentionTime, FlashAttention2IsSlowerOnlyFromHopperOn) {
  auto profile = simple_profile();
  const AttentionShape s = square(1, 1024, 10, true);
  const auto time = [&](AttentionKernel kernel) {
    return attention_time(s, Forward, kernel, DataType::Bf16, profile).time;
  };
  EXPECT_EQ(time(Flash2), time(Flash));
  profile.device.compute_capability = 90;
  EXPECT_GT(time(Flash2), 1.5 * time(Flash));
}

TEST(AttentionTime, DecodeReadsTheCache) {
  // 64 sequences x 2 kv heads x 8192 keys x 256 elements x 2 B = 536.9 MB at 1e12 B/s, queries and
  // outputs 64 * 16 * 256 * 2 B = 0.5 MB: 537.4 us; launch 1 us.
  auto profile = simple_profile();
  profile.device.memory_bandwidth = BytesPerSecond{1e12};
  profile.decode.launch = Seconds{1e-6};
  profile.decode.block_overhead = profile.decode.split_overhead = Seconds{0};
  profile.decode.memory_efficiency = 1;
  profile.decode.block_bandwidth = 1e6;
  profile.decode.overlap = 100;
  const AttentionShape s{64, 1, 8192, 16, 2, 128, 128, true};
  EXPECT_NEAR(forward_microseconds(s, profile), 1 + 537.395, 1e-2);
}

TEST(AttentionTime, DecodeOfOneSequenceIsCutAlongItsKeys) {
  // One sequence, one kv head: 10 parts on 10 multiprocessors, each a tenth of the cache.
  auto profile = simple_profile();
  profile.device.memory_bandwidth = BytesPerSecond{1e12};
  profile.decode.launch = Seconds{1e-6};
  profile.decode.block_overhead = Seconds{0};
  profile.decode.split_overhead = Seconds{2e-6};
  profile.decode.split_tokens = 128;
  profile.decode.memory_efficiency = 1;
  profile.decode.block_bandwidth = 0.5;  // each multiprocessor streams half its share
  profile.decode.overlap = 100;
  // 131072 keys x 256 x 2 B = 67.1 MB at half of 1e12 B/s: 134.2 us; launch 1, merge 2.
  const AttentionShape s{1, 1, 131072, 8, 1, 128, 128, true};
  EXPECT_NEAR(forward_microseconds(s, profile), 3 + 134.2177, 1e-2);
  // Unless the heads per kv head are too few for it: then one multiprocessor reads it all.
  profile.decode.least_split_group = 16;
  EXPECT_NEAR(forward_microseconds(s, profile), 1 + 1342.177, 1e-1);
}

TEST(AttentionTime, UnfusedIsTwoProductsAndASoftmax) {
  const auto profile = simple_profile();
  const AttentionShape s = square(2, 512, 4, true);
  const Seconds scores = gemm_time({512, 512, 128, 8}, DataType::Bf16, profile).time;
  const Seconds context = gemm_time({512, 128, 512, 8}, DataType::Bf16, profile).time;
  // 8 squares of 512 x 512 x 2 B = 4 MiB, read and written.
  const Seconds softmax = memory_bound_time(Bytes{2 * 8 * 512 * 512 * 2}, profile).time;
  EXPECT_DOUBLE_EQ(attention_time(s, Forward, Unfused, DataType::Bf16, profile).time.count(),
                   (scores + context + softmax).count());
}

TEST(AttentionTime, NeverBeatsPeakOrMemoryOnAnyDevice) {
  const profiles::DataFiles files;
  std::vector<DeviceProfile> all;
  for (const std::string& id : files.names("devices")) {
    all.push_back(profiles::load_profile(profiles::load_device(id, files), files));
  }
  EXPECT_TRUE(rc::check([&] {
    const DeviceProfile& profile = *rc::gen::elementOf(all);
    AttentionShape s;
    s.batch = *rc::gen::inRange(1, 65);
    s.query_len = *rc::gen::element(1, 1, 17, 512, 2048, 8192);
    s.kv_len = s.query_len + *rc::gen::element(0, 0, 1, 1000, 30000);
    s.kv_heads = *rc::gen::inRange(1, 9);
    s.heads = s.kv_heads * *rc::gen::inRange(1, 9);
    s.head_dim = s.value_head_dim = *rc::gen::element(64, 96, 128, 256);
    s.causal = *rc::gen::arbitrary<bool>();
    const auto pass = *rc::gen::element(Forward, Backward);
    const auto kernel = *rc::gen::element(Flash, Flash2, Unfused);
    const double seconds = attention_time(s, pass, kernel, DataType::Bf16, profile).time.count();
    const double q = static_cast<double>(s.query_len), kv = static_cast<double>(s.kv_len);
    const double pairs = s.causal ? q * (kv - q) + q * (q + 1) / 2 : q * kv;
    const double products = pass == Forward ? 2 : 4;  // at least
    const double flops = products * 2 * static_cast<double>(s.batch) * s.heads * pairs * s.head_dim;
    RC_ASSERT(std::isfinite(seconds));
    RC_ASSERT(seconds * (1 + 1e-12) >= flops / profile.device.peak_at(DataType::Bf16).rate);
  }));
}

TEST(MemoryBoundTime, BytesOverBandwidthBeyondL2) {
  auto profile = simple_profile();
  profile.device.memory_bandwidth = BytesPerSecond{1e12};
  profile.memory_bound = {Seconds{2e-6}, 0.8, 2, 1};
  // 1e9 B at 0.8e12 B/s
  EXPECT_NEAR(memory_bound_time(Bytes{1'000'000'000}, profile).time.count() * 1e6, 2 + 1250, 1e-3);
  // L2 of 1 GB holds 1 MB: at 2e12 B/s
  profile.device.l2_cache = Bytes{1'000'000'000};
  EXPECT_NEAR(memory_bound_time(Bytes{1'000'000}, profile).time.count() * 1e6, 2 + 0.5, 1e-6);
}

}  // namespace
}  // namespace meshplan::planner
