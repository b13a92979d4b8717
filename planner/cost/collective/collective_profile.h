#pragma once
#include <map>
#include <string>

#include "planner/cluster/group_shape.h"
#include "planner/cost/collective/nccl_constants.h"
#include "profiles/cluster.h"
#include "profiles/data_files.h"
#include "profiles/json_node.h"

namespace meshplan::planner {

/// What calls on one kind of node take beyond NCCL's own estimate. Seconds; scales are factors.
///
///   t = NCCL's base + call + move + fill r z / (r z + fill)
///   z = bytes / bandwidth * (1 + own_piece / steps)
///   move = scale * NCCL's hops + z;  under Simple on one node max(z, (1 - overlap) z + hops)
///
/// overlap: Simple hands a piece on in slices, so that what a step waits for the slice before it is
/// spent sending; with pieces large enough its hops show no more. fill: until the pipeline of
/// pieces is full, each second of transfer costs r (fill_rate) more; `fill` at most in all.
/// own_piece: each rank also copies its own piece once, which takes a part of a step, and is why
/// few ranks do not reach the bandwidth of many.
struct FabricOverhead {
  double call = 0;                             ///< on NCCL's base latency; may be negative
  double ll_hop_scale = 1;                     ///< of LL's hops
  double ll_speed = 1;                         ///< LL's bandwidth over NCCL's cap of it
  double ll128_speed = 1;                      ///< LL128's, beside `efficiency`
  double block_call = 0;                       ///< more of LL128 and Simple
  double simple_hop_scale = 1;                 ///< of Simple's hops on one node
  double efficiency = 1;                       ///< of the links under LL128 and Simple
  double own_piece = 0, gather_own_piece = 0;  ///< steps; all-gathers write the output besides
  double fill = 0;
  double exchange_call = 0;                   ///< all-to-all, on the base of a ring call
  double send_call = 0;                       ///< send/receive, the same
  double exchange_block = 0;                  ///< more of their large messages
  double exchange_ll_bytes_per_second = 1e9;  ///< of one peer's small message
  double exchange_efficiency = 1;
  double exchange_fill = 0;
  double exchange_own_piece = 0;
  double spread = 0.3;  ///< standard deviation of ln(measured / predicted)
};

/// What calls over one kind of network take more.
struct NetworkOverhead {
  double call = 0;        ///< seconds, once a call
  double efficiency = 1;  ///< of the NICs
  double fill = 0;        ///< seconds, as of FabricOverhead
  double fill_rate = 1;   ///< the same
  double spread = 0.3;
  bool measured = false;  ///< fitted; else taken over from a kind like it
};

/// Part of a PCIe link that a group gets on a node without NVLink, by how far its ranks are apart:
/// two neighbours, up to half of the node's devices, more of them. Hosts as old as Ampere have a
/// slower link between their sockets.
struct PcieReach {
  double neighbours = 1, in_socket = 1, across_sockets = 1, across_old_sockets = 1;
};

/// What a way of timing shows besides the call itself (call_timing.h). Seconds.
struct TimingOverhead {
  double launch = 0;  ///< at least, for every device that one thread launches on
  double wait = 0;    ///< at least, of a kernel that waits for the last rank's host
  double added = 0;   ///< once a call
};

/// Everything that a time needs besides the cluster: NCCL's constants and our overheads.
struct CollectiveProfile {
  std::map<std::string, NcclConstants> nccl;  ///< by version
  std::map<std::string, FabricOverhead> fabrics;
  std::map<std::string, NetworkOverhead> networks;
  std::map<std::string, TimingOverhead> timings;  ///< by name of a CallTiming; absent: nothing
  double old_host_scale = 1;  ///< of launches and waits on the hosts of Ampere and older
  std::map<profiles::PeerToPeer, PcieReach> pcie_reach;
  double ll_own_piece = 0;  ///< steps, as own_piece of FabricOverhead
  double ll_load = 0,
         ll_load_bytes = 1;             ///< of LL: its latency grows by that part, half of it here
  double network_hop_scale = 1;         ///< of the hops of LL128 and Simple between nodes
  double overlap = 0;                   ///< part of a Simple step that hides its hop
  double fill_rate = 1;                 ///< on one node
  double nvls_call = 0, nvls_fill = 0;  ///< of reductions in the switch; fill: 8 ranks a node
  double send_block = 0;                ///< seconds that Simple takes at least to hand over, more
  double exchange_near_peer = 0;        ///< seconds, for each peer on the same node
  double exchange_peer = 0;             ///< seconds, for each peer on another node
};

/// The overheads of profiles/data/collectives/overheads.json, or of another file of that form, and
/// every version of NCCL's constants among `files`.
CollectiveProfile load_collective_profile(const profiles::DataFiles& files);
/// That of the files in the binary; read once.
const CollectiveProfile& shipped_collective_profile();

/// The entries that fit a group; refuses a profile that lacks them.
const NcclConstants& nccl_constants_of(const CollectiveProfile& profile,
                                       const profiles::Cluster& cluster);
const FabricOverhead& fabric_overhead_of(const CollectiveProfile& profile, const GroupShape& shape,
                                         const profiles::Cluster& cluster);
const NetworkOverhead& network_overhead_of(const CollectiveProfile& profile,
                                           const profiles::Cluster& cluster);

}  // namespace meshplan::planner
