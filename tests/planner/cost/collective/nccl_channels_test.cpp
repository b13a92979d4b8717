#include "planner/cost/collective/nccl_channels.h"

#include <gtest/gtest.h>

#include "profiles/cluster_load.h"

namespace meshplan::planner {
namespace {

const profiles::DataFiles kFiles;

LinkRates rates(const std::string& cluster, int ranks, int nodes) {
  const profiles::Cluster one = profiles::load_cluster(cluster, kFiles);
  return link_rates(lone_group(ranks, nodes, one), one, load_nccl_constants("2.30", kFiles));
}

Channels ring(const std::string& cluster, int ranks, int nodes) {
  return ring_channels(rates(cluster, ranks, nodes), load_nccl_constants("2.30", kFiles));
}

// Channels x GB/s by the rule of the header, by hand. T = 0.8, 0.824, 0.802 of the NVLink rate.
TEST(RingChannels, A100FillsItsLinksWithTwelve) {
  // T = 240: 40 x 6 = 240 fills them; 40 >= 25 and cc 80, so they are doubled: 12 x 20.
  const Channels found = ring("dgx-a100-80gb", 8, 1);
  EXPECT_EQ(found.count, 12);
  EXPECT_NEAR(found.intra, 20e9, 1);
}

TEST(RingChannels, H100) {
  // T = 370.8: 60 x 6 = 360, 50 x 7 = 350, 40 x 9 = 360, 30 x 12 = 360: the first best is 60,
  // doubled (not below 50): 12 x 30.
  const Channels found = ring("dgx-h100", 8, 1);
  EXPECT_EQ(found.count, 12);
  EXPECT_NEAR(found.intra, 30e9, 1);
}

TEST(RingChannels, B200) {
  // T = 721.8: 90 x 8 = 720, and 45 x 16 has no more: 90 doubled: 16 x 45.
  const Channels found = ring("dgx-b200", 8, 1);
  EXPECT_EQ(found.count, 16);
  EXPECT_NEAR(found.intra, 45e9, 1);
}

TEST(RingChannels, BetweenNodesTheNicsLimit) {
  // NIC 48 GB/s through PCIe Gen5: 48 x floor(370.8 / 48) = 48 x 7 = 336 < 45 x 8 = 360.
  const Channels h100 = ring("dgx-h100", 16, 2);
  EXPECT_EQ(h100.count, 8);
  EXPECT_NEAR(h100.intra, 45e9, 1);
  // NIC 24 GB/s through PCIe Gen4: 24 x 8 = 192.
  const Channels a100 = ring("dgx-a100-80gb", 16, 2);
  EXPECT_EQ(a100.count, 8);
  EXPECT_NEAR(a100.intra, 24e9, 1);
}

TEST(RingChannels, ANetworkBelowEverySpeedStillHasAChannel) {
  profiles::Cluster slow = profiles::load_cluster("dgx-h100", kFiles);
  slow.nic_bandwidth = {1e6};
  const auto constants = load_nccl_constants("2.30", kFiles);
  const Channels found =
      ring_channels(link_rates(lone_group(16, 2, slow), slow, constants), constants);
  EXPECT_GE(found.count, 1);
  EXPECT_NEAR(found.count * found.intra, 8e6, 1);
}

TEST(NvlsChannels, OneHeadARank) {
  const auto constants = load_nccl_constants("2.30", kFiles);
  const auto nvls = [&](const std::string& cluster, int ranks, int nodes) {
    return nvls_channels(rates(cluster, ranks, nodes), constants);
  };
  // H100: 9 heads' worth at 40 = 360 <= 370.8, 50 would be 450. B200: 9 x 80 = 720 <= 721.8.
  EXPECT_EQ(nvls("dgx-h100", 8, 1)->count, 8);
  EXPECT_NEAR(nvls("dgx-h100", 8, 1)->intra, 40e9, 1);
  EXPECT_NEAR(nvls("dgx-b200", 8, 1)->intra, 80e9, 1);
  EXPECT_NEAR(nvls("dgx-h100", 16, 2)->inter, 48e9, 1);
  EXPECT_FALSE(nvls("dgx-a100-80gb", 8, 1));
  EXPECT_FALSE(nvls("h100-nvlink-pairs", 2, 1));
}

TEST(LinkRates, PairsAreJoinedByPcie) {
  EXPECT_TRUE(rates("a100-nvlink-pairs", 2, 1).nvlink);
  const LinkRates four = rates("a100-nvlink-pairs", 4, 1);
  EXPECT_FALSE(four.nvlink);
  EXPECT_NEAR(four.device, 24e9, 1);  // what NCCL takes PCIe Gen4 x16 for
}

}  // namespace
}  // namespace meshplan::planner
