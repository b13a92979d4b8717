#pragma once
#include <optional>
#include <string>
#include <vector>

#include "profiles/device.h"
#include "profiles/units.h"

namespace meshplan::profiles {

enum class IntraNodeKind { NvSwitch, NvLinkMesh, NvLinkPairs, Pcie, SharedMemory };
enum class InterNodeKind { Infiniband, Roce, Efa, Tcpxo, Slingshot, Ethernet };

/// A directed link of a cluster that states its graph whole ("graph": {"nodes", "links"}).
struct GraphNode {
  enum class Kind { Device, Switch, Nic, Host };
  std::string name;
  Kind kind = Kind::Device;
  int host = 0;  ///< which node (server) it belongs to
};
struct GraphLink {
  int from = 0, to = 0;          ///< indexes of GraphNode; a link is written for both directions
  BytesPerSecond bandwidth;      ///< per direction
  Seconds latency{0};
};

/// A cluster as a file or preset states it; all nodes are alike. The graph of links that routes and
/// contention are computed on is planner/cluster. Schema meshplan.cluster/1.
struct Cluster {
  std::string name;
  Device device;
  int nodes = 1;
  int devices_per_node = 8;       ///< of one server
  int devices_used_per_node = 8;  ///< fewer for "PRESET:1/2"
  int nvlink_domain_devices = 8;  ///< devices that reach each other by NVLink: 72 on NVL72

  IntraNodeKind intra_kind = IntraNodeKind::NvSwitch;
  BytesPerSecond intra_bandwidth{};  ///< one device, one direction
  /// Bandwidth of a device to devices outside its pair (nvlink-pairs) or to the host (pcie).
  BytesPerSecond pcie_bandwidth{};

  InterNodeKind inter_kind = InterNodeKind::Infiniband;
  int nics_per_node = 8;
  BytesPerSecond nic_bandwidth{};  ///< one NIC, one direction
  Seconds nic_latency{};           ///< one message between two nodes
  double oversubscription = 1.0;   ///< of the switches above the NICs; 2 = half the bandwidth
  std::string host_cpu = "intel";  ///< "intel", "amd", "arm": NCCL's ring latency depends on it

  std::string nccl_version = "2.28";  ///< constants file profiles/data/collectives/nccl-<version>.json
  std::vector<GraphNode> graph_nodes;  ///< of one node; empty: the short form above is expanded
  std::vector<GraphLink> graph_links;
  std::vector<std::string> assumed;  ///< keys that were null or absent and got a default

  [[nodiscard]] int devices() const { return nodes * devices_used_per_node; }
};

}  // namespace meshplan::profiles
