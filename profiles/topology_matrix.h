#pragma once
#include <string>
#include <string_view>

#include "profiles/topology.h"

namespace meshplan::profiles {

/// Reads what `nvidia-smi topo -m` prints:
///
///           GPU0    GPU1    NIC0    CPU Affinity    NUMA Affinity
///   GPU0     X      NV12    PXB     0-31            0
///   GPU1    NV12     X      SYS     32-63           1
///   NIC0    PXB     SYS      X
///
/// NV<n> is n NVLinks, to the other GPU or to the switch between them: where every pair has them,
/// and all peers together would take more links than any GPU has (18), or more than NVLink devices
/// with so many links per pair have, it is a switch. The matrix states neither the kind of GPU, nor
/// speeds, nor whether NICs are InfiniBand: those are guessed and listed as assumed
/// (`--set device=ID` says it). A NIC at PIX or PXB of a GPU shares its PCIe switch.
Topology read_topology_matrix(std::string_view text, const std::string& source);

}  // namespace meshplan::profiles
