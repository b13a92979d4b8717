#pragma once
#include <optional>

#include "planner/cluster/group_shape.h"
#include "planner/cost/collective/nccl_constants.h"
#include "profiles/cluster.h"

namespace meshplan::planner {

/// What NCCL's search of the topology sees of a group, in bytes per second.
struct LinkRates {
  double device = 0;  ///< T: all NVLinks of a device together, or its way through PCIe
  double nic = 0;     ///< one NIC through its PCIe slot; 0 on one node
  int nics = 0;       ///< that the group reaches on a node
  int ranks_per_node = 1;
  int nodes = 1;
  int compute_capability = 0;
  bool nvlink = true;  ///< false: PCIe joins the ranks of a node
  bool nvls = false;   ///< an NVSwitch that reduces in flight
  bool ll128 = false;  ///< LL128 is safe on every link of the way
};
LinkRates link_rates(const GroupShape& shape, const profiles::Cluster& cluster,
                     const NcclConstants& constants);

/// Parallel channels of one algorithm, each with its bandwidth on a node and between nodes.
struct Channels {
  int count = 1;
  double intra = 0, inter = 0;
};

/// NCCL's search, which on hosts whose devices all see the same bandwidth comes down to arithmetic:
/// for each speed s of a list, largest first, n = floor(T / s) channels (between nodes also at most
/// nics * floor(nic / s)); the largest n * s wins, and slower speeds are no longer tried once s is
/// below about half of the best one.
/// Source: NCCL src/graph/search.cc (ncclTopoCompute), reduced by hand.
Channels ring_channels(const LinkRates& rates, const NcclConstants& constants);
/// The same count; the way inside a node is raised while it is below twice the way between nodes.
Channels tree_channels(const Channels& ring, const LinkRates& rates,
                       const NcclConstants& constants);
/// A head for each rank, at the largest speed s with (ranks + 1) s <= T. None where NVLS cannot
/// run.
std::optional<Channels> nvls_channels(const LinkRates& rates, const NcclConstants& constants);

/// The same channels at the bandwidth that the links have instead of the speed that NCCL's list
/// holds, and with `exit`, the group's share of the way out of a node: what the calls then get.
Channels physical_ring(const Channels& ring, const LinkRates& rates, double exit);
Channels physical_tree(const Channels& tree, const LinkRates& rates, double exit);
Channels physical_nvls(const Channels& nvls, const LinkRates& rates, double exit);

}  // namespace meshplan::planner
