#include "planner/cost/collective/nccl_channels.h"

#include <algorithm>
#include <cmath>

namespace meshplan::planner {
namespace {

constexpr int kMostChannels = 32;
constexpr int kMostNvlsHeads = 16;
/// Heads beyond which reductions in the switch get no faster, whatever NCCL expects: all-reduces of
/// 8 GB reach 811 GB/s of bus bandwidth over 8 GB200 and 835 over 72.
/// Source: github.com/coreweave/nccl-tests/pull/43; lixueduan.com, 13-gb200-mnnvl-nccl-test.
constexpr int kMostNvlsGain = 8;
constexpr double kSlack = 1 + 1e-9;  // rates and speeds are decimal fractions

/// The entry for the largest listed compute capability that is not above `capability`.
template <typename T>
const T& for_capability(const std::map<int, T>& by_capability, int capability) {
  auto next = by_capability.upper_bound(capability);
  return next == by_capability.begin() ? next->second : std::prev(next)->second;
}

int fits(double rate, double speed) {
  return static_cast<int>(std::min(rate / speed * kSlack, 1e6));
}

}  // namespace

LinkRates link_rates(const GroupShape& shape, const profiles::Cluster& cluster,
                     const NcclConstants& constants) {
  using profiles::IntraNodeKind;
  LinkRates out;
  out.compute_capability = cluster.device.compute_capability;
  out.ranks_per_node = shape.ranks_per_node;
  out.nodes = shape.nodes;
  const bool has_nvlink = cluster.intra_kind != IntraNodeKind::Pcie &&
                          cluster.intra_kind != IntraNodeKind::SharedMemory;
  out.nvlink = has_nvlink && shape.nvlink_domains == 1;
  const double pcie = constants.pcie_share * cluster.pcie_bandwidth.rate;
  if (out.nvlink) {
    out.device = for_capability(constants.nvlink_share, out.compute_capability) *
                 cluster.intra_bandwidth.rate;
  } else {
    const double link = has_nvlink ? cluster.pcie_bandwidth.rate : cluster.intra_bandwidth.rate;
    out.device = constants.pcie_share * link;
  }
  if (shape.nodes > 1) {
    out.nic = std::min(cluster.nic_bandwidth.rate, pcie);
    out.nics = std::max(1, shape.nics);
  }
  out.nvls = out.nvlink && cluster.intra_kind == IntraNodeKind::NvSwitch &&
             out.compute_capability >= 90 && shape.ranks_per_node > 1;
  // Without GPUDirect RDMA, which TCP sockets have not, the way to a NIC counts as one through the
  // host, and NCCL keeps LL128 off it: its flags need stores of 128 bytes that stay whole.
  // Source: NCCL src/graph/paths.cc (ncclTopoComputePaths), tuning.cc.
  const bool sockets = shape.nodes > 1 && cluster.inter_kind == profiles::InterNodeKind::Ethernet;
  out.ll128 = out.nvlink && out.compute_capability >= 80 && !sockets;
  return out;
}

Channels ring_channels(const LinkRates& rates, const NcclConstants& constants) {
  const bool across = rates.nodes > 1;
  const auto& speeds = for_capability(across ? constants.inter_speeds : constants.intra_speeds,
                                      rates.compute_capability);
  const double fastest = across ? std::min(rates.device, rates.nic) : rates.device;
  int best_count = 0;
  double best_speed = 0;
  for (const double speed : speeds) {
    if (speed > fastest * kSlack) continue;
    if (best_count > 0 && speed / best_speed <= 0.49) break;
    int count = std::min(fits(rates.device, speed), kMostChannels);
    if (across) count = std::min(count, rates.nics * fits(rates.nic, speed));
    if (count * speed > best_count * best_speed * kSlack) {
      best_count = count;
      best_speed = speed;
    }
    if (count * speed * kSlack >= rates.device) break;
  }
  if (best_count == 0) {  // slower than any speed of the list
    best_count = across ? rates.nics : 1;
    best_speed = fastest;
  }
  const bool duplicate =
      best_speed >= 25e9 && !(rates.compute_capability > 80 && best_speed < 50e9 && best_count > 4);
  if (duplicate) {
    best_count *= 2;
    best_speed /= 2;
  }
  return {best_count, best_speed, best_speed};
}

Channels tree_channels(const Channels& ring, const LinkRates& rates,
                       const NcclConstants& constants) {
  Channels out = ring;
  if (rates.nodes == 1) return out;
  const int g = rates.ranks_per_node;
  const double most = g > 1 ? rates.device * g / (g - 1) : rates.device;
  const auto& speeds = for_capability(constants.inter_speeds, rates.compute_capability);
  for (auto speed = speeds.rbegin(); speed != speeds.rend(); ++speed) {
    if (out.intra<2 * ring.inter&& * speed> out.intra && out.count * *speed <= most * kSlack) {
      out.intra = *speed;
    }
  }
  return out;
}

std::optional<Channels> nvls_channels(const LinkRates& rates, const NcclConstants& constants) {
  if (!rates.nvls) return std::nullopt;
  Channels out;
  out.count = std::min(rates.ranks_per_node, kMostNvlsHeads);
  if (out.count < 2) return std::nullopt;
  const auto& speeds = for_capability(constants.intra_speeds, rates.compute_capability);
  for (const double speed : speeds) {
    if ((out.count + 1) * speed > rates.device * kSlack) continue;
    out.intra = speed;
    break;
  }
  if (out.intra == 0) return std::nullopt;
  const auto raised = [&](const std::vector<double>& list, double most) {
    for (const double speed : list) {
      if (speed <= most * kSlack) return speed;
    }
    return most;
  };
  if (rates.nodes == 1) {
    out.inter = raised(speeds, 2 * out.intra);
  } else {
    out.inter = raised(for_capability(constants.inter_speeds, rates.compute_capability),
                       rates.nics * rates.nic / out.count);
  }
  return out;
}

Channels physical_ring(const Channels& ring, const LinkRates& rates, double exit) {
  const double whole = rates.nodes > 1 ? std::min(rates.device, exit) : rates.device;
  return {ring.count, whole / ring.count, whole / ring.count};
}

Channels physical_tree(const Channels& tree, const LinkRates& rates, double exit) {
  if (rates.nodes == 1) return physical_ring(tree, rates, exit);
  // A tree over two nodes moves each byte out once where a ring moves it twice.
  const double inside = std::min(rates.device, 2 * exit);
  return {tree.count, inside / tree.count, std::min(rates.device, exit) / tree.count};
}

Channels physical_nvls(const Channels& nvls, const LinkRates& rates, double exit) {
  const int heads = std::min(nvls.count, kMostNvlsGain);
  const double inside = rates.device / (heads + 1);
  if (rates.nodes == 1) return {heads, inside, 2 * inside};
  return {heads, inside, exit / heads};
}

}  // namespace meshplan::planner
