#pragma once
#include <boost/graph/adjacency_list.hpp>
#include <optional>
#include <string>
#include <vector>

#include "profiles/cluster.h"

namespace meshplan::planner {

/// A vertex of the graph of links.
struct Place {
  enum class Kind { Device, Switch, Nic, Host, Network };
  std::string name;
  Kind kind = Kind::Device;
};
/// An edge: `bandwidth` in each direction at once.
struct Link {
  profiles::BytesPerSecond bandwidth{};
  profiles::Seconds latency{0};
};
using LinkGraph = boost::adjacency_list<boost::vecS, boost::vecS, boost::undirectedS, Place, Link>;

/// One link used in one direction on one node.
struct Traversal {
  int node = 0;
  int edge = 0;          ///< index of the edge in the graph, in order of creation
  bool forward = false;  ///< from the edge's source to its target
  friend auto operator<=>(const Traversal&, const Traversal&) = default;
};

/// The links of a cluster. All nodes are alike, so the graph holds one node (a server, or the
/// servers that one NVLink domain joins) and the network that it hangs on; its size does not depend
/// on how many nodes there are.
///
///   nvswitch      device - switch                    each device's whole NVLink bandwidth
///   nvlink-mesh   device - device                    that bandwidth cut by the number of peers
///   nvlink-pairs  device - its twin, device - host
///   pcie          device - host
///   all           device - nic(s) - leaf - network   devices share a NIC where there are fewer;
///   the
///                                                    leaf's uplink is oversubscribed
class ClusterGraph {
 public:
  explicit ClusterGraph(const profiles::Cluster& cluster);

  [[nodiscard]] const LinkGraph& links() const { return graph_; }
  [[nodiscard]] const Link& link(int edge) const { return graph_[edges_[edge]]; }

  /// Links from rank `from` to rank `to`, ranks filling nodes in order: fewest links, then widest.
  /// Empty for a rank and itself.
  [[nodiscard]] std::vector<Traversal> route(int from, int to) const;

  /// Rate of each of `flows` (pairs of ranks) when all of them run at once, max-min fair.
  [[nodiscard]] std::vector<profiles::BytesPerSecond> rates(
      const std::vector<std::pair<int, int>>& flows) const;

 private:
  using Vertex = LinkGraph::vertex_descriptor;
  using Edge = LinkGraph::edge_descriptor;

  Vertex add(const std::string& name, Place::Kind kind);
  void connect(Vertex a, Vertex b, profiles::BytesPerSecond bandwidth, profiles::Seconds latency);
  void add_short_form(const profiles::Cluster& cluster);
  void add_stated_graph(const profiles::Cluster& cluster);
  void add_network(const profiles::Cluster& cluster, const std::vector<Vertex>& nics);
  [[nodiscard]] std::vector<Traversal> path(Vertex from, Vertex to, int node) const;

  LinkGraph graph_;
  std::vector<Edge> edges_;
  std::vector<Vertex> devices_;  ///< of one node, those that are used
  Vertex network_ = 0;
};

}  // namespace meshplan::planner
