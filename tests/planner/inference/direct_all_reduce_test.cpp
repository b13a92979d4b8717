#include "planner/inference/direct_all_reduce.h"

#include <gtest/gtest.h>

#include "profiles/cluster_load.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::Cluster;
using profiles::Seconds;

Seconds time_of(std::int64_t bytes, int ranks, const Cluster& cluster) {
  return *direct_all_reduce_time(Bytes{bytes}, lone_group(ranks, 1, cluster), cluster);
}

TEST(DirectAllReduce, AFewBytesTakeSomeMicroseconds) {
  const Cluster dgx = profiles::load_cluster("dgx-h100:1", {});
  for (const int ranks : {2, 4, 8}) {
    EXPECT_GT(time_of(1024, ranks, dgx), Seconds{2e-6});
    EXPECT_LT(time_of(1024, ranks, dgx), Seconds{10e-6});
  }
}

TEST(DirectAllReduce, LargeMessagesGoInTwoShots) {
  // One shot moves 7 S to each of 8 ranks, two shots 2 * 7/8 S: asymptotically a quarter.
  const Cluster dgx = profiles::load_cluster("dgx-h100:1", {});
  const Seconds two_shot = time_of(64 << 20, 8, dgx) - time_of(32 << 20, 8, dgx);
  const Seconds of_two_ranks = time_of(64 << 20, 2, dgx) - time_of(32 << 20, 2, dgx);
  // Two ranks: both forms move S.
  EXPECT_NEAR(two_shot / of_two_ranks, 2 * 7.0 / 8, 1e-6);
}

TEST(DirectAllReduce, NeedsNvlinkBetweenAllRanks) {
  const Cluster pcie = profiles::load_cluster("l40s-pcie:1", {});
  EXPECT_FALSE(direct_all_reduce_time(Bytes{1024}, lone_group(4, 1, pcie), pcie));
  const Cluster pairs = profiles::load_cluster("a100-nvlink-pairs:1", {});
  EXPECT_FALSE(direct_all_reduce_time(Bytes{1024}, lone_group(4, 1, pairs), pairs));
  EXPECT_TRUE(direct_all_reduce_time(Bytes{1024}, lone_group(2, 1, pairs), pairs));
  const Cluster two = profiles::load_cluster("dgx-h100:2", {});
  EXPECT_FALSE(direct_all_reduce_time(Bytes{1024}, lone_group(16, 2, two), two));
  EXPECT_FALSE(direct_all_reduce_time(Bytes{1024}, lone_group(1, 1, two), two));
}

}  // namespace
}  // namespace meshplan::planner
