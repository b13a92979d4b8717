#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "profiles/device.h"
#include "profiles/units.h"

namespace meshplan::profiles {

enum class IntraNodeKind { NvSwitch, NvLinkMesh, NvLinkPairs, Pcie, SharedMemory };
enum class InterNodeKind { Infiniband, Roce, Efa, Tcpxo, Slingshot, Ethernet };

/// How far devices without NVLink copy to each other directly (CUDA's peer-to-peer); what is
/// further apart meets in host memory.
enum class PeerToPeer {
  None,    ///< not at all
  Switch,  ///< below one PCIe switch, which two devices share
  Host     ///< throughout the node, each device on lanes of its own
};

std::string_view name(IntraNodeKind kind);  ///< "nvlink-pairs": as in files
std::string_view name(InterNodeKind kind);
std::string_view name(PeerToPeer reach);

/// A vertex of a cluster that states its graph whole ("graph": {"nodes", "links"}).
struct GraphNode {
  enum class Kind { Device, Switch, Nic, Host };
  std::string name;
  Kind kind = Kind::Device;
  std::optional<int> host = 0;  ///< server it belongs to; none: part of the network
};
/// An edge between two vertices; it carries `bandwidth` in both directions at once.
struct GraphLink {
  int from = 0, to = 0;      ///< indexes of GraphNode
  BytesPerSecond bandwidth;  ///< per direction
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
  PeerToPeer peer_to_peer = PeerToPeer::Host;  ///< of intra_kind pcie

  InterNodeKind inter_kind = InterNodeKind::Infiniband;
  int nics_per_node = 8;
  BytesPerSecond nic_bandwidth{};  ///< one NIC, one direction
  Seconds nic_latency{};           ///< one message between two nodes
  double oversubscription = 1.0;   ///< of the switches above the NICs; 2 = half the bandwidth
  std::string host_cpu = "intel";  ///< "intel", "amd", "arm": NCCL's ring latency depends on it

  std::string nccl_version =
      "2.28";  ///< constants file profiles/data/collectives/nccl-<version>.json
  /// The graph as stated: of one server (the network joins its NICs to the others), or of all of
  /// them. Empty: the short form above is expanded.
  std::vector<GraphNode> graph_nodes;
  std::vector<GraphLink> graph_links;
  std::vector<std::string> assumed;  ///< keys that were null or absent and got a default
  std::string source;                ///< where the facts were read

  [[nodiscard]] int devices() const { return nodes * devices_used_per_node; }
};

/// Whether the servers are of the time of Ampere or before, as their devices are: slower cores, and
/// a slower link between the sockets.
bool old_host(const Cluster& cluster);

}  // namespace meshplan::profiles
