#include "profiles/cluster_graph_json.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "profiles/device_json.h"
#include "profiles/input_error.h"

namespace meshplan::profiles {
namespace {

using Kind = GraphNode::Kind;
constexpr std::size_t kMostVertices = 4096;
const std::vector<std::string> kKinds = {"device", "switch", "nic", "host"};

Kind read_kind(const JsonNode& node) {
  const std::string text = node.string();
  const auto found = std::find(kKinds.begin(), kKinds.end(), text);
  if (found == kKinds.end()) node.refuse_name("device, switch, nic or host", kKinds);
  return static_cast<Kind>(found - kKinds.begin());
}

struct Reader {
  Cluster& cluster;
  std::map<std::string, int> index_of = {};

  void vertex(const JsonNode& node, const std::string& device_id) {
    node.refuse_unknown_keys({"name", "kind", "host", "device"});
    GraphNode out;
    out.name = node.at("name").string();
    out.kind = read_kind(node.at("kind"));
    if (const auto host = node.find("host")) {
      if (host->is_null()) {
        out.host = std::nullopt;
      } else {
        out.host = static_cast<int>(host->integer(0, kMostVertices));
      }
    }
    if (out.kind == Kind::Device && !out.host) node.refuse("a device with a host");
    if (const auto device = node.find_value("device");
        device && device_id_of(device->string()) != device_id) {
      device->refuse("one kind of device, as '" + device_id + "' of the cluster");
    }
    if (!index_of.emplace(out.name, static_cast<int>(cluster.graph_nodes.size())).second) {
      node.at("name").refuse("a name that no other vertex has");
    }
    cluster.graph_nodes.push_back(std::move(out));
  }

  int end(const JsonNode& node) const {
    const auto found = index_of.find(node.string());
    if (found != index_of.end()) return found->second;
    std::vector<std::string> names;
    for (const auto& [name, index] : index_of) names.push_back(name);
    node.refuse_name("the name of a vertex", names);
  }

  void link(const JsonNode& node) {
    node.refuse_unknown_keys({"from", "to", "bytes_per_second", "latency_seconds"});
    GraphLink out;
    out.from = end(node.at("from"));
    out.to = end(node.at("to"));
    if (out.from == out.to) node.refuse("a link between two different vertices");
    out.bandwidth = {node.at("bytes_per_second").positive_number()};
    if (const auto latency = node.find_value("latency_seconds")) {
      if (latency->number() < 0) latency->refuse("a number >= 0");
      out.latency = Seconds{latency->number()};
    }
    cluster.graph_links.push_back(out);
  }
};

/// What one server of the graph consists of.
struct Server {
  int devices = 0, nics = 0;
  std::multiset<double> links;  ///< bandwidths of the links inside
  friend bool operator==(const Server&, const Server&) = default;
};

std::map<int, Server> servers_of(const Cluster& cluster) {
  std::map<int, Server> servers;
  for (const GraphNode& node : cluster.graph_nodes) {
    if (!node.host) continue;
    Server& server = servers[*node.host];
    server.devices += node.kind == Kind::Device ? 1 : 0;
    server.nics += node.kind == Kind::Nic ? 1 : 0;
  }
  for (const GraphLink& link : cluster.graph_links) {
    const auto& from = cluster.graph_nodes[link.from].host;
    const auto& to = cluster.graph_nodes[link.to].host;
    if (from && from == to) servers[*from].links.insert(link.bandwidth.rate);
  }
  return servers;
}

/// Bandwidth of the links of vertex `index` to vertices of `kinds`, and how many.
struct Attachment {
  double bandwidth = 0;
  int links = 0;
};
Attachment attachment(const Cluster& cluster, int index, std::initializer_list<Kind> kinds) {
  Attachment out;
  for (const GraphLink& link : cluster.graph_links) {
    if (link.from != index && link.to != index) continue;
    const GraphNode& other = cluster.graph_nodes[link.from == index ? link.to : link.from];
    if (std::find(kinds.begin(), kinds.end(), other.kind) == kinds.end()) continue;
    out.bandwidth += link.bandwidth.rate;
    ++out.links;
  }
  return out;
}

void derive_short_form(const JsonNode& graph, Cluster& cluster) {
  double device_bandwidth = 0, host_bandwidth = 0, nic_bandwidth = 0;
  const auto lower = [](double& least, double value) {
    if (value > 0) least = least > 0 ? std::min(least, value) : value;
  };
  bool switched = false;
  int most_peers = 0;
  for (int i = 0; i < static_cast<int>(cluster.graph_nodes.size()); ++i) {
    const GraphNode& node = cluster.graph_nodes[i];
    if (node.kind == Kind::Device) {
      const Attachment peers = attachment(cluster, i, {Kind::Device});
      const Attachment fabric = attachment(cluster, i, {Kind::Switch});
      const Attachment host = attachment(cluster, i, {Kind::Host});
      if (peers.links + fabric.links + host.links == 0) {
        throw InputError(graph.where(), "device '" + node.name + "' has no link");
      }
      lower(device_bandwidth, peers.bandwidth + fabric.bandwidth);
      lower(host_bandwidth, host.bandwidth);
      switched = switched || fabric.links > 0;
      most_peers = std::max(most_peers, peers.links);
    } else if (node.kind == Kind::Nic) {
      lower(nic_bandwidth, attachment(cluster, i, {Kind::Switch, Kind::Nic}).bandwidth > 0
                               ? attachment(cluster, i, {Kind::Switch, Kind::Nic}).bandwidth
                               : attachment(cluster, i, {Kind::Host, Kind::Device}).bandwidth);
    }
  }
  if (switched) {
    cluster.intra_kind = IntraNodeKind::NvSwitch;
  } else if (most_peers == 0) {
    cluster.intra_kind = IntraNodeKind::Pcie;
  } else {
    cluster.intra_kind = most_peers == 1 ? IntraNodeKind::NvLinkPairs : IntraNodeKind::NvLinkMesh;
  }
  cluster.intra_bandwidth = {most_peers == 0 && !switched ? host_bandwidth : device_bandwidth};
  if (host_bandwidth > 0) cluster.pcie_bandwidth = {host_bandwidth};
  if (nic_bandwidth > 0) cluster.nic_bandwidth = {nic_bandwidth};
}

}  // namespace

void read_cluster_graph(const JsonNode& graph, const std::string& device_id, Cluster& cluster) {
  graph.refuse_unknown_keys({"nodes", "links"});
  const auto vertices = graph.at("nodes").elements();
  if (vertices.empty() || vertices.size() > kMostVertices) {
    graph.at("nodes").refuse("1 to " + std::to_string(kMostVertices) + " vertices");
  }
  Reader reader{cluster};
  for (const JsonNode& node : vertices) reader.vertex(node, device_id);
  for (const JsonNode& node : graph.at("links").elements()) reader.link(node);

  const auto servers = servers_of(cluster);
  if (servers.empty() || servers.begin()->second.devices == 0) {
    graph.at("nodes").refuse("at least one vertex of kind device on every host");
  }
  for (const auto& [host, server] : servers) {
    if (!(server == servers.begin()->second)) {
      throw InputError(graph.where(), "hosts must be alike, but host " + std::to_string(host) +
                                          " differs from host " +
                                          std::to_string(servers.begin()->first));
    }
  }
  if (servers.size() > 1) cluster.nodes = static_cast<int>(servers.size());
  cluster.devices_per_node = servers.begin()->second.devices;
  cluster.nics_per_node = servers.begin()->second.nics;
  derive_short_form(graph, cluster);
}

nlohmann::json cluster_graph_json(const Cluster& cluster) {
  nlohmann::json nodes = nlohmann::json::array();
  for (const GraphNode& node : cluster.graph_nodes) {
    nlohmann::json out = {{"name", node.name},
                          {"kind", kKinds[static_cast<std::size_t>(node.kind)]}};
    out["host"] = node.host ? nlohmann::json(*node.host) : nlohmann::json(nullptr);
    nodes.push_back(std::move(out));
  }
  nlohmann::json links = nlohmann::json::array();
  for (const GraphLink& link : cluster.graph_links) {
    links.push_back({{"from", cluster.graph_nodes[link.from].name},
                     {"to", cluster.graph_nodes[link.to].name},
                     {"bytes_per_second", link.bandwidth.rate},
                     {"latency_seconds", link.latency.count()}});
  }
  return {{"nodes", nodes}, {"links", links}};
}

}  // namespace meshplan::profiles
