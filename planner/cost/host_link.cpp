#include "planner/cost/host_link.h"

#include <algorithm>

namespace meshplan::planner {
namespace {

constexpr double kCopyEfficiency = 0.8;
constexpr double kUpdateEfficiency = 0.5;

double server_memory(const profiles::Cluster& cluster) {
  constexpr double kIntel = 2 * 8 * 4800e6 * 8, kAmd = 2 * 8 * 3200e6 * 8, kGrace = 512e9;
  if (cluster.host_cpu == "arm") {
    const int per_grace = cluster.device.compute_capability >= 100 ? 2 : 1;
    return kGrace * std::max(1, cluster.devices_per_node / per_grace);
  }
  return cluster.host_cpu == "amd" ? kAmd : kIntel;
}

}  // namespace

HostLink host_link(const profiles::Cluster& cluster) {
  const int sharing = std::max(1, cluster.devices_used_per_node);
  return {
      {kCopyEfficiency * cluster.device.c2c_bandwidth.value_or(cluster.device.pcie_bandwidth).rate},
      {kUpdateEfficiency * server_memory(cluster) / sharing}};
}

}  // namespace meshplan::planner
