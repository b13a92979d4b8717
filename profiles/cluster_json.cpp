#include "profiles/cluster_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "profiles/cluster_graph_json.h"
#include "profiles/device_json.h"
#include "profiles/input_error.h"
#include "profiles/usual_network.h"

namespace meshplan::profiles {
namespace {

constexpr IntraNodeKind kIntraKinds[] = {IntraNodeKind::NvSwitch, IntraNodeKind::NvLinkMesh,
                                         IntraNodeKind::NvLinkPairs, IntraNodeKind::Pcie,
                                         IntraNodeKind::SharedMemory};
constexpr InterNodeKind kInterKinds[] = {InterNodeKind::Infiniband, InterNodeKind::Roce,
                                         InterNodeKind::Efa,        InterNodeKind::Tcpxo,
                                         InterNodeKind::Slingshot,  InterNodeKind::Ethernet};
constexpr PeerToPeer kPeerToPeers[] = {PeerToPeer::None, PeerToPeer::Switch, PeerToPeer::Host};
constexpr std::int64_t kMostDevices = 10'000'000;
constexpr double kMostBytesPerSecond = 1e15;

template <typename Kinds>
auto read_kind(const JsonNode& node, const Kinds& kinds) {
  const std::string text = node.string();
  std::vector<std::string> known;
  for (const auto kind : kinds) {
    if (name(kind) == text) return kind;
    known.emplace_back(name(kind));
  }
  std::string list;
  for (const std::string& one : known) list += (list.empty() ? "" : ", ") + one;
  node.refuse_name("one of " + list, known);
}

BytesPerSecond read_bandwidth(const JsonNode& node) {
  const double rate = node.positive_number();
  if (rate > kMostBytesPerSecond) node.refuse("at most 1e15 bytes per second");
  return {rate};
}

bool verbs(InterNodeKind kind) {
  return kind == InterNodeKind::Infiniband || kind == InterNodeKind::Roce;
}

Device read_cluster_device(const JsonNode& node, const DataFiles& files) {
  if (const auto devices = node.find("devices")) {
    std::string kinds;
    for (const JsonNode& one : devices->elements())
      kinds += (kinds.empty() ? "" : ", ") + one.shown();
    throw InputError(devices->where(), "one kind of device, as 'device'", "a list: " + kinds);
  }
  const JsonNode device = node.at("device");
  if (device.is_object()) return read_device(device);
  if (!device.is_string()) device.refuse("the id of one device");
  return named_at(device.where(), "device", [&] { return load_device(device.string(), files); });
}

/// Reads one node; `base` holds the figures of the preset that unstated ones are taken from.
class Reader {
 public:
  Reader(const JsonNode& node, const DataFiles& files, const std::string& name, bool may_assume)
      : node_(node), files_(files), may_assume_(may_assume) {
    cluster_.name = name;
    cluster_.device = read_cluster_device(node, files);
  }

  Cluster read() {
    node_.refuse_unknown_keys({"schema", "name", "device", "devices_per_node",
                               "devices_used_per_node", "nvlink_domain_devices", "intra_node",
                               "inter_node", "nodes", "graph", "host_cpu", "nccl_version",
                               "source"});
    if (node_.find("schema")) node_.require_schema("cluster");
    if (const auto nodes = node_.find_value("nodes")) cluster_.nodes = nodes->count();
    if (const auto graph = node_.find_value("graph")) {
      read_cluster_graph(*graph, cluster_.device.id, cluster_);
      states_graph_ = true;
    }
    read_short_form();
    read_counts();
    if (const auto cpu = node_.find_value("host_cpu")) {
      cluster_.host_cpu = cpu->string();
      if (cluster_.host_cpu != "intel" && cluster_.host_cpu != "amd" &&
          cluster_.host_cpu != "arm") {
        cpu->refuse("intel, amd or arm");
      }
    } else if (base()) {
      cluster_.host_cpu = base()->host_cpu;
    }
    if (const auto version = node_.find_value("nccl_version")) {
      cluster_.nccl_version = version->string();
    }
    if (const auto source = node_.find_value("source")) cluster_.source = source->string();
    return std::move(cluster_);
  }

 private:
  void assume(const std::string& key) { cluster_.assumed.push_back(key); }

  /// The preset that stands in: of the same name, else the device's usual cluster. Presets state
  /// everything themselves.
  const Cluster* base() {
    if (looked_for_base_) return base_ ? &*base_ : nullptr;
    looked_for_base_ = true;
    if (!may_assume_) return nullptr;
    for (const std::string& candidate : {cluster_.name, cluster_.device.usual_cluster}) {
      if (candidate.empty() || candidate.find('/') != std::string::npos) continue;
      const auto preset = files_.find("clusters/" + candidate);
      if (!preset || preset->source() == node_.source()) continue;
      base_ = Reader(*preset, files_, candidate, /*may_assume=*/false).read();
      break;
    }
    return base_ ? &*base_ : nullptr;
  }

  const Cluster& base_for(const std::string& key) {
    if (base() == nullptr) {
      throw InputError(node_.where(), "the key '" + key + "' (no preset stands in for it)", "none");
    }
    assume(key);
    return *base();
  }

  void read_short_form() {
    if (const auto count = node_.find_value("devices_per_node")) {
      const int devices = static_cast<int>(count->integer(1, 100'000));
      if (states_graph_ && devices != cluster_.devices_per_node) {
        count->refuse("the " + std::to_string(cluster_.devices_per_node) + " devices of the graph");
      }
      cluster_.devices_per_node = devices;
    } else if (!states_graph_) {
      cluster_.devices_per_node = base_for("devices_per_node").devices_per_node;
    }
    if (const auto intra = node_.find_value("intra_node")) {
      read_intra_node(*intra);
    } else if (!states_graph_) {
      const Cluster& usual = base_for("intra_node");
      cluster_.intra_kind = usual.intra_kind;
      cluster_.intra_bandwidth = usual.intra_bandwidth;
      cluster_.peer_to_peer = usual.peer_to_peer;
    }
    if (cluster_.pcie_bandwidth.rate == 0) cluster_.pcie_bandwidth = cluster_.device.pcie_bandwidth;
    cluster_.nvlink_domain_devices = usual_domain();
    read_domain();
    if (const auto inter = node_.find_value("inter_node")) {
      read_inter_node(*inter);
    } else {
      const Cluster& usual = base_for("inter_node");
      cluster_.inter_kind = usual.inter_kind;
      if (!graph_states_nics()) {
        cluster_.nics_per_node = usual.nics_per_node;
        cluster_.nic_bandwidth = usual.nic_bandwidth;
      }
      cluster_.nic_latency = usual.nic_latency;
      cluster_.oversubscription = usual.oversubscription;
    }
  }

  void read_intra_node(const JsonNode& node) {
    node.refuse_unknown_keys({"kind", "bytes_per_second_per_device",
                              "pcie_bytes_per_second_per_device", "peer_to_peer"});
    if (const auto kind = node.find_value("kind")) {
      cluster_.intra_kind = read_kind(*kind, kIntraKinds);
    } else if (!states_graph_) {
      cluster_.intra_kind = base_for("intra_node.kind").intra_kind;
    }
    if (const auto pcie = node.find_value("pcie_bytes_per_second_per_device")) {
      cluster_.pcie_bandwidth = read_bandwidth(*pcie);
    }
    if (const auto reach = node.find_value("peer_to_peer")) {
      cluster_.peer_to_peer = read_kind(*reach, kPeerToPeers);
    } else if (cluster_.intra_kind == IntraNodeKind::Pcie && may_assume_) {
      assume("intra_node.peer_to_peer");
      if (base() != nullptr) cluster_.peer_to_peer = base()->peer_to_peer;
    }
    if (const auto bandwidth = node.find_value("bytes_per_second_per_device")) {
      cluster_.intra_bandwidth = read_bandwidth(*bandwidth);
      return;
    }
    if (states_graph_) return;
    assume("intra_node.bytes_per_second_per_device");
    const Device& device = cluster_.device;
    const bool by_nvlink = cluster_.intra_kind != IntraNodeKind::Pcie &&
                           cluster_.intra_kind != IntraNodeKind::SharedMemory;
    cluster_.intra_bandwidth =
        by_nvlink ? device.nvlinks * device.nvlink_bandwidth : device.pcie_bandwidth;
    if (cluster_.intra_bandwidth.rate <= 0) {
      throw InputError(node.where(),
                       "bytes_per_second_per_device, for " + device.id + " has no NVLink", "none");
    }
  }

  void read_inter_node(const JsonNode& node) {
    node.refuse_unknown_keys({"kind", "nics_per_node", "bytes_per_second_per_nic",
                              "latency_seconds", "oversubscription"});
    if (const auto kind = node.find_value("kind")) {
      cluster_.inter_kind = read_kind(*kind, kInterKinds);
    } else {
      cluster_.inter_kind = base_for("inter_node.kind").inter_kind;
    }
    UsualNics nics = usual_nics(cluster_.inter_kind, cluster_.device, cluster_.devices_per_node);
    if (base() != nullptr && (base()->inter_kind == cluster_.inter_kind ||
                              (verbs(base()->inter_kind) && verbs(cluster_.inter_kind)))) {
      nics = {base()->nics_per_node, base()->nic_bandwidth};
    }
    if (graph_states_nics()) {
      if (node.find_value("nics_per_node") || node.find_value("bytes_per_second_per_nic")) {
        node.refuse("no NICs beside those of the graph");
      }
      nics = {cluster_.nics_per_node, cluster_.nic_bandwidth};
    }
    if (const auto count = node.find_value("nics_per_node")) {
      cluster_.nics_per_node = static_cast<int>(count->integer(1, 10'000));
    } else {
      if (!graph_states_nics()) assume("inter_node.nics_per_node");
      cluster_.nics_per_node = nics.per_node;
    }
    if (const auto bandwidth = node.find_value("bytes_per_second_per_nic")) {
      cluster_.nic_bandwidth = read_bandwidth(*bandwidth);
    } else {
      if (!graph_states_nics()) assume("inter_node.bytes_per_second_per_nic");
      cluster_.nic_bandwidth = nics.bandwidth;
    }
    cluster_.nic_latency = usual_latency(cluster_.inter_kind);
    if (const auto latency = node.find_value("latency_seconds")) {
      if (latency->number() < 0 || latency->number() > 1) latency->refuse("0 to 1 second");
      cluster_.nic_latency = Seconds{latency->number()};
    }
    if (const auto factor = node.find_value("oversubscription")) {
      if (factor->number() < 1 || factor->number() > 1000)
        factor->refuse("a number from 1 to 1000");
      cluster_.oversubscription = factor->number();
    }
  }

  [[nodiscard]] bool graph_states_nics() const {
    return states_graph_ && cluster_.nics_per_node > 0;
  }

  int usual_domain() {
    switch (cluster_.intra_kind) {
      case IntraNodeKind::NvSwitch:
        // Racks whose NVLink joins servers: what is unstated is so in the device's usual cluster.
        if (base() != nullptr && base()->nvlink_domain_devices > base()->devices_per_node &&
            base()->devices_per_node == cluster_.devices_per_node) {
          return base()->nvlink_domain_devices;
        }
        return cluster_.devices_per_node;
      case IntraNodeKind::NvLinkMesh:
        return cluster_.devices_per_node;
      case IntraNodeKind::NvLinkPairs:
        return cluster_.devices_per_node % 2 == 0 ? 2 : 1;  // of an odd number one is alone
      case IntraNodeKind::Pcie:
      case IntraNodeKind::SharedMemory:
        break;
    }
    return 1;
  }

  void read_domain() {
    const auto node = node_.find_value("nvlink_domain_devices");
    if (!node) {
      if (cluster_.nvlink_domain_devices > cluster_.devices_per_node) {
        assume("nvlink_domain_devices");
      }
      return;
    }
    const int domain = static_cast<int>(node->integer(1, 1'000'000));
    const bool whole =
        domain % cluster_.devices_per_node == 0 ||
        (domain < cluster_.devices_per_node && cluster_.devices_per_node % domain == 0);
    if (!whole) node->refuse("a multiple or a divisor of devices_per_node");
    cluster_.nvlink_domain_devices = domain;
  }

  void read_counts() {
    cluster_.devices_used_per_node = cluster_.devices_per_node;
    if (const auto used = node_.find_value("devices_used_per_node")) {
      cluster_.devices_used_per_node =
          static_cast<int>(used->integer(1, cluster_.devices_per_node));
    }
    const std::int64_t devices =
        std::int64_t{cluster_.nodes} * std::int64_t{cluster_.devices_per_node};
    if (devices > kMostDevices) {
      throw InputError(node_.where(), "at most 10,000,000 devices", std::to_string(devices));
    }
  }

  const JsonNode& node_;
  const DataFiles& files_;
  Cluster cluster_;
  bool may_assume_;
  bool states_graph_ = false;
  bool looked_for_base_ = false;
  std::optional<Cluster> base_;
};

}  // namespace

Cluster read_cluster(const JsonNode& node, const DataFiles& files, const std::string& name) {
  return Reader(node, files, name, /*may_assume=*/true).read();
}

ClusterTable read_cluster_table(const JsonNode& clusters, const DataFiles& files) {
  ClusterTable table;
  for (const auto& [name, node] : clusters.members()) {
    table.emplace(name, read_cluster(node, files, name));
  }
  return table;
}

nlohmann::json cluster_json(const Cluster& cluster) {
  nlohmann::json out = {
      {"schema", "meshplan.cluster/1"},
      {"name", cluster.name},
      {"device", device_json(cluster.device)},
      {"nodes", cluster.nodes},
      {"devices_per_node", cluster.devices_per_node},
      {"devices_used_per_node", cluster.devices_used_per_node},
      {"nvlink_domain_devices", cluster.nvlink_domain_devices},
      {"intra_node",
       {{"kind", name(cluster.intra_kind)},
        {"bytes_per_second_per_device", cluster.intra_bandwidth.rate},
        {"pcie_bytes_per_second_per_device", cluster.pcie_bandwidth.rate},
        {"peer_to_peer", name(cluster.peer_to_peer)}}},
      {"inter_node",
       {{"kind", name(cluster.inter_kind)},
        {"nics_per_node", cluster.nics_per_node},
        {"bytes_per_second_per_nic", cluster.nic_bandwidth.rate},
        {"latency_seconds", cluster.nic_latency.count()},
        {"oversubscription", cluster.oversubscription}}},
      {"host_cpu", cluster.host_cpu},
      {"nccl_version", cluster.nccl_version},
      {"source", cluster.source},
  };
  if (!cluster.graph_nodes.empty()) {
    out["graph"] = cluster_graph_json(cluster);
    // Stated by the graph, where it has NICs.
    const auto is_nic = [](const GraphNode& node) { return node.kind == GraphNode::Kind::Nic; };
    if (std::any_of(cluster.graph_nodes.begin(), cluster.graph_nodes.end(), is_nic)) {
      out["inter_node"].erase("nics_per_node");
      out["inter_node"].erase("bytes_per_second_per_nic");
    }
  }
  return out;
}

}  // namespace meshplan::profiles
