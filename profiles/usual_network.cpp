#include "profiles/usual_network.h"

namespace meshplan::profiles {

Seconds usual_latency(InterNodeKind kind) {
  using namespace literals;
  switch (kind) {
    case InterNodeKind::Infiniband:
      return 2_us;
    case InterNodeKind::Roce:
      return 3_us;
    case InterNodeKind::Slingshot:
      return 4_us;
    case InterNodeKind::Efa:
      return 15_us;
    case InterNodeKind::Tcpxo:
      return 25_us;
    case InterNodeKind::Ethernet:
      return 20_us;
  }
  return 20_us;
}

UsualNics usual_nics(InterNodeKind kind, const Device& device, int devices_per_node) {
  const bool hopper_or_later = device.compute_capability >= 90;
  switch (kind) {
    case InterNodeKind::Ethernet:
      return {1, {12.5e9}};
    case InterNodeKind::Efa:
      return hopper_or_later ? UsualNics{32, {12.5e9}} : UsualNics{4, {12.5e9}};
    case InterNodeKind::Tcpxo:
    case InterNodeKind::Slingshot:
      return {devices_per_node, {25e9}};
    case InterNodeKind::Infiniband:
    case InterNodeKind::Roce:
      break;
  }
  return {devices_per_node, {hopper_or_later ? 50e9 : 25e9}};
}

}  // namespace meshplan::profiles
