#include "runtime/measure/host_profile.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "planner/cluster/group_shape.h"
#include "planner/cost/collective/collective_model.h"
#include "planner/cost/compute/attention.h"
#include "planner/cost/compute/gemm.h"
#include "planner/cost/compute/memory_bound.h"
#include "profiles/cluster_load.h"
#include "profiles/device_profile_json.h"

namespace meshplan::runtime {
namespace {

using profiles::Bytes;
using profiles::BytesPerSecond;
using profiles::DataType;
using profiles::Seconds;

/// A machine made up: 10 GFLOP/s on small products, 20 on large ones, 8 GB/s.
HostTables tables() {
  HostTables out;
  out.gemm_rows = {32, 512};
  out.gemm_widths = {64, 1024};
  for (const std::int64_t m : out.gemm_rows) {
    for (const std::int64_t n : out.gemm_widths) {
      for (const std::int64_t k : out.gemm_widths) {
        const double flops = 2.0 * static_cast<double>(m) * static_cast<double>(n * k);
        out.gemm.push_back({m, n, k, Seconds{flops / (flops > 1e8 ? 20e9 : 10e9)}});
      }
    }
  }
  out.gemm_held_out = {{128, 256, 256, Seconds{1.5e-3}}};
  out.attention_lengths = {64, 512};
  out.head_dims = {32, 64};
  for (const std::int64_t length : out.attention_lengths) {
    for (const std::int64_t dim : out.head_dims) {
      const double pairs = static_cast<double>(length) * static_cast<double>(length + 1) / 2;
      const double flops = 4 * pairs * static_cast<double>(4 * dim);
      out.attention.push_back({4, length, dim, Seconds{flops / 5e9}, Seconds{2.5 * flops / 4e9}});
    }
  }
  out.decode_lengths = {64, 512};
  out.decode_groups = {1, 4};
  for (const std::int64_t keys : out.decode_lengths) {
    for (const std::int64_t group : out.decode_groups) {
      for (const std::int64_t dim : out.head_dims) {
        const double bytes = 2.0 * 4 * 4 * static_cast<double>(keys * dim);
        const double slow = group > 1 ? 1e9 : 3e9;
        out.decode.push_back({4, keys, group, dim, Seconds{bytes / slow}});
      }
    }
  }
  out.elementwise = {{Bytes{40'000}, Bytes{44 * 40'000}, Seconds{44 * 40'000 / 16e9}},
                     {Bytes{4'000'000}, Bytes{44 * 4'000'000}, Seconds{44 * 4e6 / 6e9}}};
  out.stream = BytesPerSecond{8e9};
  out.call = Seconds{1e-7};
  out.waiting = {.layer = 0.02, .step = 0.01};
  return out;
}

Host host() {
  Host out;
  out.name = "somewhere";
  out.processor = "some processor";
  out.cores = 4;
  out.memory = {std::int64_t{16} << 30};
  out.available = out.memory;
  out.core_cache = {1 << 20};
  return out;
}

TEST(HostProfile, FactsAreWhatWasReached) {
  const profiles::DeviceProfile profile = host_profile(host(), tables(), "2025-01-31");
  EXPECT_DOUBLE_EQ(profile.device.peak_at(DataType::Fp32).rate, 20e9);
  EXPECT_DOUBLE_EQ(profile.device.memory_bandwidth.rate, 8e9);
  EXPECT_EQ(profile.device.memory, Bytes{std::int64_t{4} << 30});  // a quarter of 16 GiB
  EXPECT_TRUE(profile.fitted);
}

TEST(HostProfile, GivesEveryMeasuredProductBack) {
  const HostTables measured = tables();
  const profiles::DeviceProfile profile = host_profile(host(), measured, "2025-01-31");
  for (const GemmTime& t : measured.gemm) {
    const auto predicted = planner::gemm_time({t.m, t.n, t.k}, DataType::Fp32, profile).time;
    EXPECT_NEAR(predicted / t.time, 1, 1e-6) << t.m << " " << t.n << " " << t.k;
  }
}

TEST(HostProfile, GivesDecodingBack) {
  const HostTables measured = tables();
  const profiles::DeviceProfile profile = host_profile(host(), measured, "2025-01-31");
  for (const DecodeTime& t : measured.decode) {
    const int dim = static_cast<int>(t.head_dim), group = static_cast<int>(t.group);
    const auto at = [&](std::int64_t batch) {
      const planner::AttentionShape shape{batch, 1, t.keys, 4 * group, 4, dim, dim, true};
      return attention_time(shape, planner::AttentionPass::Forward, planner::AttentionKernel::Flash,
                            DataType::Fp32, profile)
          .time;
    };
    EXPECT_NEAR(at(1) / t.time, 1, 1e-6) << t.keys << " " << t.group << " " << t.head_dim;
    // Sequences follow each other on one core; what they share in its cache is little.
    EXPECT_NEAR(at(8) / t.time, 8, 0.8) << t.keys << " " << t.group << " " << t.head_dim;
  }
}

TEST(HostProfile, GivesTheMeanOfBothPassesOfAttentionBack) {
  const HostTables measured = tables();
  const profiles::DeviceProfile profile = host_profile(host(), measured, "2025-01-31");
  for (const AttentionTime& t : measured.attention) {
    const int dim = static_cast<int>(t.head_dim);
    const planner::AttentionShape shape{1, t.sequence, t.sequence, 4, 4, dim, dim, true};
    const auto off = [&](planner::AttentionPass pass, Seconds time) {
      return attention_time(shape, pass, planner::AttentionKernel::Flash, DataType::Fp32, profile)
                 .time /
             time;
    };
    const double product = off(planner::AttentionPass::Forward, t.forward) *
                           off(planner::AttentionPass::Backward, t.backward);
    EXPECT_NEAR(product, 1, 1e-6) << t.sequence << " " << dim;
  }
}

TEST(HostProfile, LargeTensorsStreamAtTheMeasuredRate) {
  const profiles::DeviceProfile profile = host_profile(host(), tables(), "2025-01-31");
  // 176 MB at 6 GB/s, as the largest elementwise row says, and one call.
  const Seconds time = planner::memory_bound_time(Bytes{176'000'000}, profile).time;
  EXPECT_NEAR(time.count(), 176e6 / 6e9 + 1e-7, 1e-6);
}

TEST(HostProfile, IsAFileThatReadsBack) {
  const profiles::DeviceProfile profile = host_profile(host(), tables(), "2025-01-31");
  const std::string text = profile_json(profile).dump();
  const profiles::DeviceProfile back =
      profiles::read_profile(profiles::JsonNode::parse(text, "profile"), profile.device);
  EXPECT_EQ(back.provenance, profile.provenance);
  EXPECT_EQ(back.memory_bound, profile.memory_bound);
  EXPECT_EQ(back.waiting, profile.waiting);
  EXPECT_EQ(back.waiting, (profiles::Waiting{.layer = 0.02, .step = 0.01}));
  EXPECT_EQ(back.gemm.tiles, profile.gemm.tiles);
  EXPECT_EQ(back.attention.head_dims, profile.attention.head_dims);
}

TEST(RankBandwidth, IsTheOneThatTheModelWasGiven) {
  profiles::Cluster cluster = profiles::load_cluster("localhost", profiles::DataFiles());
  cluster.devices_per_node = cluster.devices_used_per_node = 2;
  const BytesPerSecond truth{3e9};
  profiles::Cluster known = cluster;
  known.intra_bandwidth = known.pcie_bandwidth = known.device.pcie_bandwidth = truth;
  planner::Layout two;
  two.tp = 2;
  const planner::CollectiveModel model(group_shape(two, planner::Axis::Tp, known), known);
  std::vector<AllReduceTime> measured;
  for (const std::int64_t size : {1 << 16, 1 << 20, 1 << 24}) {
    measured.push_back({{size}, model.time(planner::Collective::AllReduce, {size})});
  }
  EXPECT_NEAR(rank_bandwidth(cluster, measured).rate / truth.rate, 1, 0.01);
}

}  // namespace
}  // namespace meshplan::runtime
