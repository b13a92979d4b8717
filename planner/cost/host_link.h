#pragma once
#include "profiles/cluster.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// How one device reaches the memory of its server, and its share of that memory's bandwidth when
/// all devices of the server use it at once.
struct HostLink {
  profiles::BytesPerSecond link{1};    ///< one direction; both at once
  profiles::BytesPerSecond memory{1};  ///< what a streaming update on the host gets
};

/// Copies of pinned memory reach 0.8 of a PCIe link and of NVLink-C2C (25 of 32 GB/s on PCIe 4.0,
/// 51 of 64 on 5.0: cuda-samples bandwidthTest). Memory of the server by its processors, two
/// sockets: Intel 8 x DDR5-4800, AMD 8 x DDR4-3200 each; Grace: LPDDR5X of 512 GB/s, one for a
/// Hopper, one for two Blackwells. Half of it is what an update gets that reads four streams and
/// writes three: assumed.
HostLink host_link(const profiles::Cluster& cluster);

}  // namespace meshplan::planner
