#pragma once
#include "planner/cluster/rank_group.h"
#include "planner/layout/layout.h"
#include "profiles/cluster.h"

namespace meshplan::planner {

/// How the groups of one kind lie on a cluster: all that a collective's time depends on besides the
/// bytes. Where the groups of a layout differ, the worst one: most nodes, then fullest node.
///
/// A node here is what NCCL counts as one: a server, or the servers that one NVLink domain joins.
struct GroupShape {
  int ranks = 1;
  int nodes = 1;            ///< that one group touches
  int ranks_per_node = 1;   ///< of one group, on its fullest node
  int groups_per_node = 1;  ///< groups of this kind that touch one node; they communicate at once
  int nvlink_domains = 1;   ///< of the group's part on one node; more than 1: PCIe joins them
  int extent = 1;           ///< devices from the group's first to its last rank on one node
  int nics = 0;             ///< NICs of one node that the group's ranks there reach directly
  int groups_per_nic = 1;   ///< groups that send through one NIC at the same time

  friend bool operator==(const GroupShape&, const GroupShape&) = default;
};

/// Ranks that one node (NCCL's, above) runs: what "node" means everywhere below.
int ranks_per_node(const profiles::Cluster& cluster);
/// Ranks that reach each other by NVLink, at most ranks_per_node.
int ranks_per_nvlink_domain(const profiles::Cluster& cluster);
/// NICs of that node.
int nics_per_node(const profiles::Cluster& cluster);

/// The shape of `group` when `world` ranks fill the cluster in order, each in one group of the
/// kind. Closed form where steps and node sizes divide each other; else groups are looked at one by
/// one in a world of up to 4096 ranks and bounded step by step in a larger one.
GroupShape group_shape(const RankGroup& group, std::int64_t world,
                       const profiles::Cluster& cluster);

/// The groups of one axis.
GroupShape group_shape(const Layout& layout, Axis axis, const profiles::Cluster& cluster);
/// dp x cp: gradients are reduced over it.
GroupShape replica_group_shape(const Layout& layout, const profiles::Cluster& cluster);
GroupShape shard_group_shape(const Layout& layout, const profiles::Cluster& cluster);
GroupShape replicate_group_shape(const Layout& layout, const profiles::Cluster& cluster);
GroupShape expert_tensor_group_shape(const Layout& layout, const profiles::Cluster& cluster);
GroupShape expert_group_shape(const Layout& layout, const profiles::Cluster& cluster);
GroupShape expert_replica_group_shape(const Layout& layout, const profiles::Cluster& cluster);

/// The transfer of stage `stage` to the next (of the last to the first): a group of two ranks.
/// Every rank of the stage sends at once; groups_per_node counts those of one node that send to
/// another node if any does, else all of them.
GroupShape pipeline_hop(const Layout& layout, int stage, const profiles::Cluster& cluster);

/// One group of `ranks` ranks alone, spread evenly over `nodes` nodes: what nccl-tests runs.
/// Refuses more ranks a node than there are.
GroupShape lone_group(int ranks, int nodes, const profiles::Cluster& cluster);

/// Bandwidth, one direction, at which one group leaves (or enters) a node while all groups
/// communicate: its share of the NICs it reaches, less what oversubscribed switches take.
profiles::BytesPerSecond node_exit_bandwidth(const GroupShape& shape,
                                             const profiles::Cluster& cluster);

}  // namespace meshplan::planner
