#include "planner/cluster/cluster_graph.h"

#include <algorithm>
#include <boost/graph/dijkstra_shortest_paths.hpp>
#include <boost/property_map/function_property_map.hpp>
#include <limits>
#include <map>
#include <utility>

#include "planner/cluster/group_shape.h"
#include "planner/cluster/max_min.h"

namespace meshplan::planner {
namespace {

using profiles::BytesPerSecond;
using profiles::Cluster;
using profiles::IntraNodeKind;
using profiles::Seconds;

/// Length of a path: links first, then the inverse of its narrowest bandwidth.
struct Length {
  int links = 0;
  double narrowness = 0;
  friend auto operator<=>(const Length&, const Length&) = default;
};
constexpr Length kUnreachable = {std::numeric_limits<int>::max(), 0};

Place::Kind kind_of(profiles::GraphNode::Kind kind) {
  switch (kind) {
    case profiles::GraphNode::Kind::Device:
      return Place::Kind::Device;
    case profiles::GraphNode::Kind::Switch:
      return Place::Kind::Switch;
    case profiles::GraphNode::Kind::Nic:
      return Place::Kind::Nic;
    case profiles::GraphNode::Kind::Host:
      return Place::Kind::Host;
  }
  return Place::Kind::Host;
}

}  // namespace

ClusterGraph::ClusterGraph(const Cluster& cluster) {
  if (cluster.graph_nodes.empty()) {
    add_short_form(cluster);
  } else {
    add_stated_graph(cluster);
  }
}

ClusterGraph::Vertex ClusterGraph::add(const std::string& name, Place::Kind kind) {
  return boost::add_vertex({name, kind}, graph_);
}

void ClusterGraph::connect(Vertex a, Vertex b, BytesPerSecond bandwidth, Seconds latency) {
  edges_.push_back(boost::add_edge(a, b, {bandwidth, latency}, graph_).first);
}

void ClusterGraph::add_short_form(const Cluster& cluster) {
  const int servers = ranks_per_node(cluster) / cluster.devices_used_per_node;
  std::vector<Vertex> all, nics;
  std::optional<Vertex> nvswitch;
  if (cluster.intra_kind == IntraNodeKind::NvSwitch)
    nvswitch = add("nvswitch", Place::Kind::Switch);
  for (int server = 0; server < servers; ++server) {
    const Vertex host = add("host" + std::to_string(server), Place::Kind::Host);
    std::vector<Vertex> devices;
    for (int i = 0; i < cluster.devices_per_node; ++i) {
      const Vertex device = add("device" + std::to_string(all.size()), Place::Kind::Device);
      if (nvswitch) connect(device, *nvswitch, cluster.intra_bandwidth, Seconds{0});
      connect(device, host, cluster.pcie_bandwidth, Seconds{0});
      devices.push_back(device);
      all.push_back(device);
      if (i < cluster.devices_used_per_node) devices_.push_back(device);
    }
    if (cluster.intra_kind == IntraNodeKind::NvLinkMesh) {
      const double peers = std::max(1, cluster.devices_per_node - 1);
      for (std::size_t i = 0; i < devices.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
          connect(devices[j], devices[i], cluster.intra_bandwidth / peers, Seconds{0});
        }
      }
    } else if (cluster.intra_kind == IntraNodeKind::NvLinkPairs) {
      for (std::size_t i = 0; i + 1 < devices.size(); i += 2) {
        connect(devices[i], devices[i + 1], cluster.intra_bandwidth, Seconds{0});
      }
    }
    // NICs of one device are one vertex with their bandwidth together: traffic stripes over them.
    const int per_device = std::max(1, cluster.nics_per_node / cluster.devices_per_node);
    const int vertices = std::min(cluster.nics_per_node, cluster.devices_per_node);
    for (int i = 0; i < vertices; ++i) {
      nics.push_back(add("nic" + std::to_string(nics.size()), Place::Kind::Nic));
    }
    for (int i = 0; i < cluster.devices_per_node; ++i) {
      const int nic = static_cast<int>(std::int64_t{i} * vertices / cluster.devices_per_node);
      connect(devices[i], nics[nics.size() - vertices + nic], per_device * cluster.nic_bandwidth,
              Seconds{0});
    }
  }
  add_network(cluster, nics);
}

void ClusterGraph::add_stated_graph(const Cluster& cluster) {
  std::map<int, Vertex> vertex_of;
  std::vector<Vertex> nics;
  std::optional<int> first_host;
  for (int i = 0; i < static_cast<int>(cluster.graph_nodes.size()); ++i) {
    const profiles::GraphNode& node = cluster.graph_nodes[i];
    if (node.host && !first_host) first_host = node.host;
    if (!node.host || node.host != first_host) continue;
    const Vertex vertex = add(node.name, kind_of(node.kind));
    vertex_of[i] = vertex;
    if (node.kind == profiles::GraphNode::Kind::Nic) nics.push_back(vertex);
    if (node.kind == profiles::GraphNode::Kind::Device &&
        static_cast<int>(devices_.size()) < cluster.devices_used_per_node) {
      devices_.push_back(vertex);
    }
  }
  for (const profiles::GraphLink& link : cluster.graph_links) {
    const auto from = vertex_of.find(link.from);
    const auto to = vertex_of.find(link.to);
    if (from == vertex_of.end() || to == vertex_of.end()) continue;
    connect(from->second, to->second, link.bandwidth, link.latency);
  }
  add_network(cluster, nics);
}

void ClusterGraph::add_network(const Cluster& cluster, const std::vector<Vertex>& nics) {
  const Vertex leaf = add("leaf", Place::Kind::Switch);
  network_ = add("network", Place::Kind::Network);
  const int per_vertex = std::max(1, cluster.nics_per_node / cluster.devices_per_node);
  const bool stated = !cluster.graph_nodes.empty();
  for (const Vertex nic : nics) {
    connect(nic, leaf, (stated ? 1 : per_vertex) * cluster.nic_bandwidth, Seconds{0});
  }
  const double all = nics_per_node(cluster) / cluster.oversubscription;
  connect(leaf, network_, all * cluster.nic_bandwidth, cluster.nic_latency / 2);
}

std::vector<Traversal> ClusterGraph::path(Vertex from, Vertex to, int node) const {
  std::vector<Length> length(boost::num_vertices(graph_));
  std::vector<Vertex> before(boost::num_vertices(graph_));
  const auto inverse_bandwidth = boost::make_function_property_map<Edge, Length>([this](Edge edge) {
    return Length{1, 1 / graph_[edge].bandwidth.rate};
  });
  boost::dijkstra_shortest_paths(
      graph_, from,
      boost::weight_map(inverse_bandwidth)
          .distance_map(
              boost::make_iterator_property_map(length.begin(), get(boost::vertex_index, graph_)))
          .predecessor_map(
              boost::make_iterator_property_map(before.begin(), get(boost::vertex_index, graph_)))
          .distance_compare(std::less<Length>())
          .distance_combine([](const Length& a, const Length& b) {
            if (a == kUnreachable) return a;
            return Length{a.links + b.links, std::max(a.narrowness, b.narrowness)};
          })
          .distance_inf(kUnreachable)
          .distance_zero(Length{}));
  std::vector<Traversal> out;
  for (Vertex at = to; at != from; at = before[at]) {
    if (before[at] == at) return {};  // not reachable
    // Of parallel edges the widest.
    int best = -1;
    for (int i = 0; i < static_cast<int>(edges_.size()); ++i) {
      const Vertex source = boost::source(edges_[i], graph_);
      const Vertex target = boost::target(edges_[i], graph_);
      const bool joins =
          (source == before[at] && target == at) || (target == before[at] && source == at);
      if (joins && (best < 0 || link(i).bandwidth > link(best).bandwidth)) best = i;
    }
    out.push_back({node, best, boost::source(edges_[best], graph_) == before[at]});
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<Traversal> ClusterGraph::route(int from, int to) const {
  const int per_node = static_cast<int>(devices_.size());
  const int from_node = from / per_node;
  const int to_node = to / per_node;
  const Vertex source = devices_[from % per_node];
  const Vertex target = devices_[to % per_node];
  if (from_node == to_node) return path(source, target, from_node);
  std::vector<Traversal> out = path(source, network_, from_node);
  const std::vector<Traversal> in = path(network_, target, to_node);
  out.insert(out.end(), in.begin(), in.end());
  return out;
}

std::vector<BytesPerSecond> ClusterGraph::rates(
    const std::vector<std::pair<int, int>>& flows) const {
  std::map<Traversal, int> index_of;
  std::vector<BytesPerSecond> capacity;
  std::vector<std::vector<int>> links;
  for (const auto& [from, to] : flows) {
    links.emplace_back();
    for (const Traversal& traversal : route(from, to)) {
      const auto [found, added] = index_of.emplace(traversal, static_cast<int>(capacity.size()));
      if (added) capacity.push_back(link(traversal.edge).bandwidth);
      links.back().push_back(found->second);
    }
  }
  return max_min_rates(capacity, links);
}

}  // namespace meshplan::planner
