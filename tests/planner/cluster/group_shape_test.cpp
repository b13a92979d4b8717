#include "planner/cluster/group_shape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <set>

#include "profiles/cluster_load.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::Cluster;
using profiles::DataFiles;
using profiles::load_cluster;

Layout degrees(int tp, int cp, int dp, int pp) {
  Layout layout;
  layout.tp = tp;
  layout.cp = cp;
  layout.dp = dp;
  layout.pp = pp;
  return layout;
}

TEST(GroupShape, TensorGroupsFillANode) {
  const Cluster dgx = load_cluster("dgx-h100:8", DataFiles());
  const GroupShape shape = group_shape(degrees(4, 1, 4, 4), Axis::Tp, dgx);
  EXPECT_EQ(
      shape,
      (GroupShape{.ranks = 4, .nodes = 1, .ranks_per_node = 4, .groups_per_node = 2, .extent = 4}));
}

TEST(GroupShape, DataGroupsJumpFromNodeToNode) {
  const Cluster dgx = load_cluster("dgx-h100:8", DataFiles());
  // tp 4: two dp neighbours on a node (ranks 0 and 4), so 4 dp ranks span 2 nodes; 4 groups share
  // a node. With two ranks a node each group reaches two NICs.
  const GroupShape shape = group_shape(degrees(4, 1, 4, 4), Axis::Dp, dgx);
  EXPECT_EQ(shape, (GroupShape{.ranks = 4,
                               .nodes = 2,
                               .ranks_per_node = 2,
                               .groups_per_node = 4,
                               .nvlink_domains = 1,
                               .extent = 5,
                               .nics = 2,
                               .groups_per_nic = 1}));
  EXPECT_DOUBLE_EQ(node_exit_bandwidth(shape, dgx).rate, 100e9);
}

TEST(GroupShape, GroupsShareNicsWhereThereAreFew) {
  // aws-p4de: 4 NICs of 12.5 GB/s, 8 devices. tp 8: 8 dp groups, one rank a node, two on each NIC.
  const Cluster p4de = load_cluster("aws-p4de-a100:4", DataFiles());
  const GroupShape shape = group_shape(degrees(8, 1, 4, 1), Axis::Dp, p4de);
  EXPECT_EQ(shape.groups_per_nic, 2);
  EXPECT_DOUBLE_EQ(node_exit_bandwidth(shape, p4de).rate, 6.25e9);
}

TEST(GroupShape, AGroupThatStraddlesNodesIsTakenAtItsWorst) {
  // tp 3 on nodes of 8: ranks 6, 7 on one node and 8 on the next.
  const Cluster dgx = load_cluster("dgx-h100:3", DataFiles());
  const GroupShape shape = group_shape(degrees(3, 1, 8, 1), Axis::Tp, dgx);
  EXPECT_EQ(shape.ranks, 3);
  EXPECT_EQ(shape.nodes, 2);
  EXPECT_EQ(shape.ranks_per_node, 2);
  EXPECT_EQ(shape.groups_per_node, 4);  // node 1: ranks 8-15 belong to groups 2, 3, 4, 5
}

TEST(GroupShape, PartsOfRacksArePowersOfTwo) {
  // 64 servers are 3.6 racks of 18: a job takes 16 servers of each of four, 64 devices. Groups of
  // 32 consecutive ranks then lie in one rack; cut at 72, ranks 64 to 95 would lie in two.
  const Cluster racks = load_cluster("gb200-nvl72:64", DataFiles());
  EXPECT_EQ(ranks_per_node(racks), 64);
  EXPECT_EQ(nics_per_node(racks), 64);
  RankGroup group;
  group.append({1, 32});
  EXPECT_EQ(group_shape(group, 256, racks).nodes, 1);
}

TEST(GroupShape, TheRackIsOneNodeOfNvl72) {
  const Cluster rack = load_cluster("gb200-nvl72:36", DataFiles());
  EXPECT_EQ(ranks_per_node(rack), 72);
  const GroupShape shape = group_shape(degrees(8, 1, 9, 2), Axis::Dp, rack);
  EXPECT_EQ(shape.nodes, 1);
  EXPECT_EQ(shape.ranks_per_node, 9);
  EXPECT_EQ(group_shape(degrees(8, 1, 18, 1), Axis::Dp, rack).nodes, 2);
}

TEST(GroupShape, PairsAreJoinedByPcie) {
  const Cluster pairs = load_cluster("a100-nvlink-pairs", DataFiles());
  EXPECT_EQ(group_shape(degrees(2, 1, 2, 1), Axis::Tp, pairs).nvlink_domains, 1);
  EXPECT_EQ(group_shape(degrees(2, 1, 2, 1), Axis::Dp, pairs).nvlink_domains, 2);
  EXPECT_EQ(group_shape(degrees(4, 1, 1, 1), Axis::Tp, pairs).nvlink_domains, 2);
}

TEST(GroupShape, OrderDecidesWhatIsNear) {
  const Cluster dgx = load_cluster("dgx-h100:2", DataFiles());
  Layout layout = degrees(8, 1, 2, 1);
  EXPECT_EQ(group_shape(layout, Axis::Tp, dgx).nodes, 1);
  layout.order = {Axis::Dp, Axis::Tp, Axis::Cp, Axis::Pp};
  EXPECT_EQ(group_shape(layout, Axis::Tp, dgx).nodes, 2);
  EXPECT_EQ(group_shape(layout, Axis::Tp, dgx).ranks_per_node, 4);
  EXPECT_EQ(group_shape(layout, Axis::Dp, dgx).nodes, 1);
}

TEST(GroupShape, ReplicasAreContextAndDataTogether) {
  const Cluster dgx = load_cluster("dgx-h100:4", DataFiles());
  const GroupShape shape = replica_group_shape(degrees(2, 2, 8, 1), dgx);
  EXPECT_EQ(shape.ranks, 16);
  EXPECT_EQ(shape.nodes, 4);
  EXPECT_EQ(shape.ranks_per_node, 4);
}

TEST(GroupShape, HybridShardsAreNearAndReplicasFar) {
  const Cluster dgx = load_cluster("dgx-h100:4", DataFiles());
  Layout layout = degrees(1, 1, 32, 1);
  layout.hsdp = 4;
  EXPECT_EQ(shard_group_shape(layout, dgx).nodes, 1);
  EXPECT_EQ(shard_group_shape(layout, dgx).ranks, 8);
  EXPECT_EQ(replicate_group_shape(layout, dgx).nodes, 4);
  EXPECT_EQ(replicate_group_shape(layout, dgx).ranks, 4);
}

TEST(GroupShape, ExpertsRegroupTheRanksOfAStage) {
  const Cluster dgx = load_cluster("dgx-h100:4", DataFiles());
  Layout layout = degrees(4, 1, 4, 2);  // 16 ranks a stage
  layout.ep = 8;
  layout.etp = 1;
  EXPECT_EQ(expert_tensor_group_shape(layout, dgx).ranks, 1);
  EXPECT_EQ(expert_group_shape(layout, dgx).ranks, 8);
  EXPECT_EQ(expert_group_shape(layout, dgx).nodes, 1);
  EXPECT_EQ(expert_replica_group_shape(layout, dgx).ranks, 2);
  EXPECT_EQ(expert_replica_group_shape(layout, dgx).nodes, 2);
}

TEST(PipelineHop, LeavesTheNodeWhereAStageEnds) {
  const Cluster dgx = load_cluster("dgx-h100:2", DataFiles());
  const Layout layout = degrees(4, 1, 1, 4);  // two stages a node
  EXPECT_EQ(pipeline_hop(layout, 0, dgx).nodes, 1);
  const GroupShape across = pipeline_hop(layout, 1, dgx);
  EXPECT_EQ(across.nodes, 2);
  EXPECT_EQ(across.groups_per_node, 4);
  EXPECT_DOUBLE_EQ(node_exit_bandwidth(across, dgx).rate, 50e9);  // each by its own NIC
  EXPECT_EQ(pipeline_hop(layout, 3, dgx).nodes, 2);               // round to the first stage
}

TEST(PipelineHop, WholeNodesSendTogether) {
  const Cluster slingshot = load_cluster("h100x4-slingshot:8", DataFiles());
  // 2 NICs of 25 GB/s for 4 devices that all send: 12.5 GB/s each.
  const GroupShape hop = pipeline_hop(degrees(4, 1, 2, 4), 0, slingshot);
  EXPECT_EQ(hop.groups_per_node, 4);
  EXPECT_EQ(hop.groups_per_nic, 2);
  EXPECT_DOUBLE_EQ(node_exit_bandwidth(hop, slingshot).rate, 12.5e9);
}

TEST(LoneGroup, HasTheNodeToItself) {
  const Cluster dgx = load_cluster("dgx-h100", DataFiles());
  EXPECT_EQ(lone_group(16, 2, dgx).ranks_per_node, 8);
  EXPECT_EQ(lone_group(16, 2, dgx).nics, 8);
  EXPECT_EQ(lone_group(144, 36, load_cluster("gb200-nvl72", DataFiles())).nodes, 2);
  EXPECT_EQ(lone_group(4, 1, load_cluster("h100-nvlink-pairs", DataFiles())).nvlink_domains, 2);
  EXPECT_THROW((void)lone_group(9, 1, dgx), profiles::InputError);
  EXPECT_THROW((void)lone_group(1, 2, dgx), profiles::InputError);
}

/// What group_shape claims, found by listing every group of the axis.
struct Listed {
  int nodes = 0, ranks_per_node = 0, groups_per_node = 0;
};
Listed list_groups(const Layout& layout, Axis axis, int node) {
  std::map<std::vector<int>, std::map<int, int>> groups;
  std::map<int, std::set<std::vector<int>>> by_node;
  for (int rank = 0; rank < layout.devices(); ++rank) {
    std::vector<int> others;
    int left = rank;
    for (const Axis one : layout.order) {
      const int degree = one == Axis::Tp   ? layout.tp
                         : one == Axis::Cp ? layout.cp
                         : one == Axis::Dp ? layout.dp
                                           : layout.pp;
      if (one != axis) others.push_back(left % degree);
      left /= degree;
    }
    ++groups[others][rank / node];
    by_node[rank / node].insert(others);
  }
  Listed worst;
  for (const auto& [others, nodes] : groups) {
    int fullest = 0;
    for (const auto& [index, count] : nodes) fullest = std::max(fullest, count);
    const int touched = static_cast<int>(nodes.size());
    if (std::pair(touched, fullest) > std::pair(worst.nodes, worst.ranks_per_node)) {
      worst.nodes = touched;
      worst.ranks_per_node = fullest;
    }
  }
  for (const auto& [index, set] : by_node) {
    worst.groups_per_node = std::max(worst.groups_per_node, static_cast<int>(set.size()));
  }
  return worst;
}

TEST(GroupShape, EqualsWhatListingTheGroupsFinds) {
  EXPECT_TRUE(rc::check([] {
    Cluster cluster = load_cluster("dgx-a100-80gb", DataFiles());
    const int node = *rc::gen::inRange(1, 13);
    cluster.devices_per_node = cluster.devices_used_per_node = node;
    cluster.nvlink_domain_devices = node;
    Layout layout = degrees(*rc::gen::inRange(1, 7), *rc::gen::inRange(1, 4),
                            *rc::gen::inRange(1, 7), *rc::gen::inRange(1, 5));
    std::vector<Axis> order(layout.order.begin(), layout.order.end());
    const int turns = *rc::gen::inRange(0, 24);
    for (int i = 0; i < turns; ++i) std::next_permutation(order.begin(), order.end());
    std::copy(order.begin(), order.end(), layout.order.begin());
    cluster.nodes = (layout.devices() + node - 1) / node;
    for (const Axis axis : {Axis::Tp, Axis::Cp, Axis::Dp, Axis::Pp}) {
      const GroupShape shape = group_shape(layout, axis, cluster);
      const Listed listed = list_groups(layout, axis, node);
      RC_ASSERT(shape.nodes == listed.nodes);
      RC_ASSERT(shape.ranks_per_node == listed.ranks_per_node);
      RC_ASSERT(shape.groups_per_node == listed.groups_per_node);
    }
  }));
}

TEST(PipelineHop, EqualsWhatListingTheSendersFinds) {
  EXPECT_TRUE(rc::check([] {
    Cluster cluster = load_cluster("dgx-a100-80gb", DataFiles());
    const int node = *rc::gen::inRange(1, 13);
    cluster.devices_per_node = cluster.devices_used_per_node = node;
    cluster.nvlink_domain_devices = node;
    const Layout layout = degrees(*rc::gen::inRange(1, 7), *rc::gen::inRange(1, 3),
                                  *rc::gen::inRange(1, 5), *rc::gen::inRange(2, 6));
    const int stage = *rc::gen::inRange(0, layout.pp);
    const int stride = layout.tp * layout.cp * layout.dp;
    bool leaves = false;
    std::map<int, int> crossing, inside;
    for (int i = 0; i < stride; ++i) {
      const int from = stage * stride + i;
      const int to = (stage + 1) % layout.pp * stride + i;
      leaves = leaves || from / node != to / node;
      ++(from / node != to / node ? crossing : inside)[from / node];
    }
    int senders = 0;
    for (const auto& [index, count] : leaves ? crossing : inside)
      senders = std::max(senders, count);
    const GroupShape hop = pipeline_hop(layout, stage, cluster);
    RC_ASSERT(hop.ranks == 2);
    RC_ASSERT(hop.nodes == (leaves ? 2 : 1));
    RC_ASSERT(hop.groups_per_node == senders);
  }));
}

TEST(GroupShape, AMillionDevicesAreNoMoreWork) {
  const Cluster cluster = load_cluster("dgx-h100:125000", DataFiles());
  const Layout layout = degrees(8, 1, 15625, 8);
  EXPECT_EQ(group_shape(layout, Axis::Dp, cluster).nodes, 15625);
  EXPECT_EQ(group_shape(layout, Axis::Tp, cluster).nodes, 1);
  EXPECT_EQ(pipeline_hop(layout, 3, cluster).groups_per_node, 8);
  // Degrees that do not divide a node are bounded, never understated: 10 ranks from anywhere.
  EXPECT_GE(group_shape(degrees(10, 1, 100'000, 1), Axis::Tp, cluster).nodes, 2);
}

}  // namespace
}  // namespace meshplan::planner
