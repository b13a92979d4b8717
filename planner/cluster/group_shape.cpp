#include "planner/cluster/group_shape.h"

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::Cluster;

constexpr std::int64_t kEnumerated = 4096;

std::int64_t ceiling(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// How a group lies on blocks of equal size (nodes, NVLink domains).
struct Spread {
  std::int64_t blocks = 1;    ///< that the group touches
  std::int64_t in_block = 1;  ///< of its ranks, on the fullest
  std::int64_t groups = 1;    ///< that touch one block
};

/// Exact when every step either stays inside a block, fills whole blocks, or jumps by whole blocks.
std::optional<Spread> aligned_spread(const RankGroup& group, std::int64_t world,
                                     std::int64_t block) {
  Spread out;
  for (int i = 0; i < group.used; ++i) {
    const auto [stride, count] = group.steps[i];
    if (stride % block == 0) {
      out.blocks *= count;
    } else if (block % (stride * count) == 0) {
      out.in_block *= count;
    } else if (block % stride == 0 && (stride * count) % block == 0) {
      out.in_block *= block / stride;
      out.blocks *= stride * count / block;
    } else {
      return std::nullopt;
    }
  }
  out.groups = std::min(block, world) / out.in_block;
  return out;
}

/// The rank that stands for the group of `rank`: every step counted back to its start.
std::int64_t base_of(const RankGroup& group, std::int64_t rank) {
  for (int i = 0; i < group.used; ++i) {
    const auto [stride, count] = group.steps[i];
    rank -= (rank / stride) % count * stride;
  }
  return rank;
}

/// Looks at every group of a small world.
Spread enumerated_spread(const RankGroup& group, std::int64_t world, std::int64_t block) {
  std::map<std::int64_t, std::map<std::int64_t, std::int64_t>> ranks_by_group_and_block;
  std::map<std::int64_t, std::set<std::int64_t>> groups_by_block;
  for (std::int64_t rank = 0; rank < world; ++rank) {
    const std::int64_t base = base_of(group, rank);
    ++ranks_by_group_and_block[base][rank / block];
    groups_by_block[rank / block].insert(base);
  }
  Spread out;
  for (const auto& [base, blocks] : ranks_by_group_and_block) {
    std::int64_t fullest = 0;
    for (const auto& [index, ranks] : blocks) fullest = std::max(fullest, ranks);
    const Spread one{static_cast<std::int64_t>(blocks.size()), fullest, 1};
    if (std::pair(one.blocks, one.in_block) > std::pair(out.blocks, out.in_block)) out = one;
  }
  for (const auto& [index, groups] : groups_by_block) {
    out.groups = std::max(out.groups, static_cast<std::int64_t>(groups.size()));
  }
  return out;
}

/// Step by step, each at its worst offset: a step of span s (n-1) touches at most
/// floor((o + s (n-1)) / block) + 1 blocks, o = block - 1 at worst.
Spread bounded_spread(const RankGroup& group, std::int64_t world, std::int64_t block) {
  Spread out;
  for (int i = 0; i < group.used; ++i) {
    const auto [stride, count] = group.steps[i];
    out.blocks *=
        stride >= block ? count : std::min(count, (block - 1 + stride * (count - 1)) / block + 1);
    out.in_block *= stride >= block ? 1 : std::min(count, ceiling(block, stride));
  }
  out.in_block = std::min(out.in_block, block);
  out.blocks = std::min(out.blocks, ceiling(world, block));
  const std::int64_t in_emptiest = std::max<std::int64_t>(1, group.ranks() / out.blocks);
  out.groups = std::min(block, ceiling(block, in_emptiest) + 1);
  return out;
}

Spread spread_of(const RankGroup& group, std::int64_t world, std::int64_t block) {
  if (const auto exact = aligned_spread(group, world, block)) return *exact;
  if (world <= kEnumerated) return enumerated_spread(group, world, block);
  return bounded_spread(group, world, block);
}

/// NICs that `ranks` ranks of a node, `stride` apart, reach directly: each its own where there are
/// as many NICs as devices, else one that neighbours share.
int reached_nics(const Cluster& cluster, std::int64_t ranks, std::int64_t stride) {
  const std::int64_t devices = cluster.devices_per_node;
  const std::int64_t nics = cluster.nics_per_node;
  if (nics >= devices) return static_cast<int>(ranks * (nics / devices));
  const std::int64_t spread = std::max<std::int64_t>(1, ceiling(ranks * stride * nics, devices));
  return static_cast<int>(std::min({ranks, spread, std::int64_t{nics_per_node(cluster)}}));
}

/// Groups whose ranks share one NIC.
int sharing_groups(const Cluster& cluster, const GroupShape& shape, std::int64_t stride) {
  if (cluster.nics_per_node >= cluster.devices_per_node) return 1;
  const std::int64_t neighbours = std::min<std::int64_t>(
      ceiling(cluster.devices_per_node, cluster.nics_per_node), cluster.devices_used_per_node);
  const std::int64_t of_one_group =
      std::clamp<std::int64_t>(neighbours / stride, 1, std::max(1, shape.ranks_per_node));
  return static_cast<int>(
      std::min<std::int64_t>(ceiling(neighbours, of_one_group), shape.groups_per_node));
}

/// Servers that one NVLink domain joins. A job that does not fill whole domains takes an equal
/// segment of each, a power of two of servers (16 of the 18 of an NVL72), so that groups of ranks
/// end where a domain does: what block schedulers do (Slurm's topology/block; NVIDIA's recipes use
/// 64 devices a rack).
int servers_joined(const Cluster& cluster) {
  const int servers = std::max(1, cluster.nvlink_domain_devices / cluster.devices_per_node);
  if (cluster.nodes <= servers || cluster.nodes % servers == 0) return servers;
  return static_cast<int>(std::bit_floor(static_cast<unsigned>(servers)));
}

/// Ranks from the first to the last of a group on one node of `node` ranks, both counted.
int extent_of(const RankGroup& group, std::int64_t node) {
  std::int64_t last = 0;
  for (int i = 0; i < group.used; ++i) {
    const auto [stride, count] = group.steps[i];
    if (stride < node) last += stride * (std::min(count, ceiling(node, stride)) - 1);
  }
  return static_cast<int>(std::min(last + 1, node));
}

int domains_on_a_node(const RankGroup& group, std::int64_t world, const Cluster& cluster,
                      std::int64_t nodes) {
  const Spread spread = spread_of(group, world, ranks_per_nvlink_domain(cluster));
  return static_cast<int>(std::max<std::int64_t>(1, ceiling(spread.blocks, nodes)));
}

}  // namespace

int ranks_per_node(const Cluster& cluster) {
  return cluster.devices_used_per_node * servers_joined(cluster);
}

int ranks_per_nvlink_domain(const Cluster& cluster) {
  return std::min(ranks_per_node(cluster), std::max(1, cluster.nvlink_domain_devices));
}

int nics_per_node(const Cluster& cluster) {
  return cluster.nics_per_node * servers_joined(cluster);
}

GroupShape group_shape(const RankGroup& group, std::int64_t world, const Cluster& cluster) {
  const std::int64_t node = ranks_per_node(cluster);
  const Spread spread = spread_of(group, world, node);
  GroupShape shape;
  shape.ranks = static_cast<int>(group.ranks());
  shape.nodes = static_cast<int>(spread.blocks);
  shape.ranks_per_node = static_cast<int>(spread.in_block);
  shape.groups_per_node = static_cast<int>(std::max<std::int64_t>(1, spread.groups));
  shape.nvlink_domains = domains_on_a_node(group, world, cluster, spread.blocks);
  shape.extent = extent_of(group, node);
  if (shape.nodes > 1) {
    const std::int64_t stride =
        group.used > 0 && group.steps[0].stride < node ? group.steps[0].stride : 1;
    shape.nics = reached_nics(cluster, shape.ranks_per_node, stride);
    shape.groups_per_nic =
        sharing_groups(cluster, shape, shape.ranks_per_node == 1 ? node : stride);
  }
  return shape;
}

GroupShape group_shape(const Layout& layout, Axis axis, const Cluster& cluster) {
  return group_shape(axis_group(layout, axis), layout.devices(), cluster);
}
GroupShape replica_group_shape(const Layout& layout, const Cluster& cluster) {
  return group_shape(replica_group(layout), layout.devices(), cluster);
}
GroupShape shard_group_shape(const Layout& layout, const Cluster& cluster) {
  return group_shape(shard_group(layout), layout.devices(), cluster);
}
GroupShape replicate_group_shape(const Layout& layout, const Cluster& cluster) {
  return group_shape(replicate_group(layout), layout.devices(), cluster);
}
GroupShape expert_tensor_group_shape(const Layout& layout, const Cluster& cluster) {
  return group_shape(expert_tensor_group(layout), layout.devices(), cluster);
}
GroupShape expert_group_shape(const Layout& layout, const Cluster& cluster) {
  return group_shape(expert_group(layout), layout.devices(), cluster);
}
GroupShape expert_replica_group_shape(const Layout& layout, const Cluster& cluster) {
  return group_shape(expert_replica_group(layout), layout.devices(), cluster);
}

GroupShape pipeline_hop(const Layout& layout, int stage, const Cluster& cluster) {
  std::int64_t stride = 1;
  for (const Axis axis : layout.order) {
    if (axis == Axis::Pp) break;
    stride *= axis == Axis::Tp ? layout.tp : axis == Axis::Cp ? layout.cp : layout.dp;
  }
  const std::int64_t next = (stage + 1) % layout.pp;
  const std::int64_t blocks = layout.devices() / (stride * layout.pp);
  const std::int64_t node = ranks_per_node(cluster);
  const std::int64_t domain = ranks_per_nvlink_domain(cluster);

  // Senders repeat every `node` ranks of a run, and every node / gcd runs.
  const std::int64_t period = node / std::gcd(stride * layout.pp, node);
  const std::int64_t runs = std::min(blocks, period);
  const std::int64_t run_length = std::min(stride, 2 * node);
  bool crosses_node = false;
  bool crosses_domain = false;
  std::map<std::int64_t, std::int64_t> crossing, inside;  // senders by node
  for (std::int64_t run = 0; run < runs; ++run) {
    const std::int64_t start = run * stride * layout.pp;
    for (std::int64_t i = 0; i < run_length; ++i) {
      const std::int64_t from = start + stage * stride + i;
      const std::int64_t to = start + next * stride + i;
      const bool leaves = from / node != to / node;
      crosses_node = crosses_node || leaves;
      crosses_domain = crosses_domain || from / domain != to / domain;
      ++(leaves ? crossing : inside)[from / node];
    }
  }
  const auto most = [](const auto& senders) {
    std::int64_t out = 1;
    for (const auto& [index, count] : senders) out = std::max(out, count);
    return out;
  };
  GroupShape shape;
  if (layout.pp == 1) return shape;
  shape.ranks = 2;
  shape.nodes = crosses_node ? 2 : 1;
  shape.ranks_per_node = crosses_node ? 1 : 2;
  shape.nvlink_domains = !crosses_node && crosses_domain ? 2 : 1;
  shape.groups_per_node = static_cast<int>(std::min(node, most(crosses_node ? crossing : inside)));
  const std::int64_t distance = (next > stage ? 1 : layout.pp - 1) * stride + 1;
  shape.extent = crosses_node ? 1 : static_cast<int>(std::min(distance, node));
  if (crosses_node) {
    shape.nics = reached_nics(cluster, 1, 1);
    shape.groups_per_nic = sharing_groups(cluster, shape, node);
  }
  return shape;
}

GroupShape lone_group(int ranks, int nodes, const Cluster& cluster) {
  const int per_server = (ranks + nodes - 1) / std::max(1, nodes);
  if (ranks < 1 || nodes < 1 || ranks < nodes || per_server > cluster.devices_per_node) {
    throw profiles::InputError(
        "collective on " + cluster.name,
        "at most " + std::to_string(cluster.devices_per_node) + " ranks on each node",
        std::to_string(ranks) + " ranks on " + std::to_string(nodes) + " nodes");
  }
  const int servers = std::max(1, cluster.nvlink_domain_devices / cluster.devices_per_node);
  GroupShape shape;
  shape.ranks = ranks;
  shape.nodes = (nodes + servers - 1) / servers;
  shape.ranks_per_node = (ranks + shape.nodes - 1) / shape.nodes;
  const int domain = std::max(1, std::min(cluster.nvlink_domain_devices, shape.ranks_per_node));
  shape.nvlink_domains = servers > 1 ? 1 : (shape.ranks_per_node + domain - 1) / domain;
  shape.extent = shape.ranks_per_node;
  if (shape.nodes > 1) shape.nics = reached_nics(cluster, shape.ranks_per_node, 1);
  return shape;
}

profiles::BytesPerSecond node_exit_bandwidth(const GroupShape& shape, const Cluster& cluster) {
  const double own = shape.nics * cluster.nic_bandwidth.rate / shape.groups_per_nic;
  const double switches = nics_per_node(cluster) * cluster.nic_bandwidth.rate /
                          cluster.oversubscription / shape.groups_per_node;
  return {std::min(own, switches)};
}

}  // namespace meshplan::planner
