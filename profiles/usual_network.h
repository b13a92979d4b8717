#pragma once
#include "profiles/cluster.h"
#include "profiles/units.h"

/// What a network between nodes is taken to be where a file names its kind and no more.
namespace meshplan::profiles {

/// One message between two nodes: verbs 2 us; the user-space stacks of the clouds and TCP as their
/// vendors' latency tests show them.
Seconds usual_latency(InterNodeKind kind);

struct UsualNics {
  int per_node;
  BytesPerSecond bandwidth;
};
/// A 100 Gb/s port of Ethernet; a cloud's network as its instances have it; else one NIC a device,
/// of the device's generation.
UsualNics usual_nics(InterNodeKind kind, const Device& device, int devices_per_node);

}  // namespace meshplan::profiles
