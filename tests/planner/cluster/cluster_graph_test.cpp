#include "planner/cluster/cluster_graph.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>

#include "planner/cluster/group_shape.h"
#include "profiles/cluster_load.h"

namespace meshplan::planner {
namespace {

using profiles::Cluster;
using profiles::DataFiles;
using profiles::load_cluster;

double rate(const ClusterGraph& graph, int from, int to) {
  return graph.rates({{from, to}})[0].rate;
}

TEST(ClusterGraph, RoutesByTheWidestOfTheShortestWays) {
  const ClusterGraph dgx(load_cluster("dgx-h100:2", DataFiles()));
  EXPECT_EQ(dgx.route(0, 0).size(), 0U);
  EXPECT_EQ(dgx.route(0, 5).size(), 2U);  // device - switch - device
  EXPECT_EQ(dgx.route(0, 8).size(), 6U);  // device - nic - leaf - network and back
  EXPECT_DOUBLE_EQ(rate(dgx, 0, 5), 450e9);
  EXPECT_DOUBLE_EQ(rate(dgx, 0, 8), 50e9);

  const ClusterGraph pairs(load_cluster("a100-nvlink-pairs", DataFiles()));
  EXPECT_DOUBLE_EQ(rate(pairs, 0, 1), 300e9);  // the bridge
  EXPECT_DOUBLE_EQ(rate(pairs, 1, 2), 32e9);   // the host
}

TEST(ClusterGraph, NvlinkReachesThroughTheRack) {
  const ClusterGraph rack(load_cluster("gb200-nvl72:36", DataFiles()));
  EXPECT_DOUBLE_EQ(rate(rack, 0, 71), 900e9);  // servers 0 and 17 of one rack
  EXPECT_DOUBLE_EQ(rate(rack, 0, 72), 50e9);   // the next rack
}

TEST(ClusterGraph, FlowsShareANic) {
  // 4 NICs of 12.5 GB/s for 8 devices: devices 0 and 1 share one.
  const ClusterGraph p4de(load_cluster("aws-p4de-a100:2", DataFiles()));
  const auto rates = p4de.rates({{0, 8}, {1, 9}, {2, 10}});
  EXPECT_DOUBLE_EQ(rates[0].rate, 6.25e9);
  EXPECT_DOUBLE_EQ(rates[1].rate, 6.25e9);
  EXPECT_DOUBLE_EQ(rates[2].rate, 12.5e9);
}

TEST(ClusterGraph, ItsSizeDoesNotDependOnTheNodes) {
  const Cluster few = load_cluster("dgx-h100:2", DataFiles());
  const Cluster many = load_cluster("dgx-h100:125000", DataFiles());  // 10^6 devices
  EXPECT_EQ(boost::num_vertices(ClusterGraph(many).links()),
            boost::num_vertices(ClusterGraph(few).links()));
  EXPECT_DOUBLE_EQ(rate(ClusterGraph(many), 3, 999'999), 50e9);
}

TEST(ClusterGraph, AStatedGraphIsTakenAsItIs) {
  const auto node = profiles::JsonNode::parse(R"({"device": "v100", "graph": {
    "nodes": [{"name": "a", "kind": "device"}, {"name": "b", "kind": "device"},
              {"name": "c", "kind": "device"}],
    "links": [{"from": "a", "to": "b", "bytes_per_second": 50e9},
              {"from": "b", "to": "c", "bytes_per_second": 25e9}]}})",
                                              "graph.json");
  const ClusterGraph graph(read_cluster(node, DataFiles(), "line"));
  EXPECT_DOUBLE_EQ(rate(graph, 0, 1), 50e9);
  EXPECT_DOUBLE_EQ(rate(graph, 0, 2), 25e9);
}

/// All groups of an axis move data to their next node at once, each rank to its counterpart: the
/// bandwidth with which a group leaves a node is the sum of its ranks' max-min rates there.
double exit_by_max_min(const Layout& layout, Axis axis, const Cluster& cluster) {
  const RankGroup group = axis_group(layout, axis);
  const GroupShape shape = group_shape(layout, axis, cluster);
  const std::int64_t stride = group.steps[0].stride;
  const std::int64_t count = group.steps[0].count;
  std::vector<std::pair<int, int>> flows;
  for (int rank = 0; rank < layout.devices(); ++rank) {
    const std::int64_t place = rank / stride % count;
    const std::int64_t next = (place + shape.ranks_per_node) % count;
    flows.emplace_back(rank, static_cast<int>(rank + (next - place) * stride));
  }
  const auto rates = ClusterGraph(cluster).rates(flows);
  double sum = 0;  // over the ranks of rank 0's group on node 0
  for (int i = 0; i < shape.ranks_per_node; ++i) sum += rates[i * stride].rate;
  return sum;
}

TEST(NodeExitBandwidth, EqualsMaxMinOnTheGraph) {
  EXPECT_TRUE(rc::check([] {
    const auto power = [](int most) { return 1 << *rc::gen::inRange(0, most + 1); };
    Layout layout;
    layout.tp = power(3);
    layout.cp = power(1);
    layout.dp = power(3);
    layout.pp = power(2);
    std::vector<Axis> order(layout.order.begin(), layout.order.end());
    const int turns = *rc::gen::inRange(0, 24);
    for (int i = 0; i < turns; ++i) std::next_permutation(order.begin(), order.end());
    std::copy(order.begin(), order.end(), layout.order.begin());

    Cluster cluster = load_cluster("dgx-h100", DataFiles());
    const int node = std::min(power(3), layout.devices());
    cluster.devices_per_node = cluster.devices_used_per_node = cluster.nvlink_domain_devices = node;
    cluster.nics_per_node = power(4);
    cluster.nic_bandwidth = {1e9 * *rc::gen::inRange(1, 60)};
    cluster.oversubscription = *rc::gen::element(1.0, 1.5, 3.0);
    cluster.nodes = layout.devices() / node;
    for (const Axis axis : layout.order) {
      const GroupShape shape = group_shape(layout, axis, cluster);
      if (shape.nodes == 1) continue;
      const double expected = exit_by_max_min(layout, axis, cluster);
      RC_ASSERT(std::abs(node_exit_bandwidth(shape, cluster).rate - expected) <= 1e-6 * expected);
    }
  }));
}

}  // namespace
}  // namespace meshplan::planner
