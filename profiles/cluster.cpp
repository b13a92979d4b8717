#include "profiles/cluster.h"

namespace meshplan::profiles {

std::string_view name(IntraNodeKind kind) {
  switch (kind) {
    case IntraNodeKind::NvSwitch:
      return "nvswitch";
    case IntraNodeKind::NvLinkMesh:
      return "nvlink-mesh";
    case IntraNodeKind::NvLinkPairs:
      return "nvlink-pairs";
    case IntraNodeKind::Pcie:
      return "pcie";
    case IntraNodeKind::SharedMemory:
      return "shared-memory";
  }
  return "";
}

std::string_view name(PeerToPeer reach) {
  switch (reach) {
    case PeerToPeer::None:
      return "none";
    case PeerToPeer::Switch:
      return "switch";
    case PeerToPeer::Host:
      return "host";
  }
  return "";
}

std::string_view name(InterNodeKind kind) {
  switch (kind) {
    case InterNodeKind::Infiniband:
      return "infiniband";
    case InterNodeKind::Roce:
      return "roce";
    case InterNodeKind::Efa:
      return "efa";
    case InterNodeKind::Tcpxo:
      return "tcpxo";
    case InterNodeKind::Slingshot:
      return "slingshot";
    case InterNodeKind::Ethernet:
      return "ethernet";
  }
  return "";
}

bool old_host(const Cluster& cluster) { return cluster.device.compute_capability < 89; }

}  // namespace meshplan::profiles
