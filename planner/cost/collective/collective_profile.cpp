#include "planner/cost/collective/collective_profile.h"

#include "profiles/input_error.h"
#include "profiles/nearest_name.h"

namespace meshplan::planner {
namespace {

using profiles::Cluster;
using profiles::IntraNodeKind;
using profiles::JsonNode;
using profiles::PeerToPeer;

FabricOverhead read_fabric(const JsonNode& node) {
  node.refuse_unknown_keys(
      {"call_seconds", "ll_hop_scale", "ll_speed", "ll128_speed", "block_call_seconds",
       "simple_hop_scale", "efficiency", "own_piece_steps", "gather_own_piece_steps",
       "fill_seconds", "exchange_call_seconds", "send_call_seconds", "exchange_block_seconds",
       "exchange_ll_bytes_per_second", "exchange_efficiency", "exchange_fill_seconds",
       "exchange_own_piece_steps", "spread", "source"});
  FabricOverhead out;
  out.call = node.at("call_seconds").number();
  out.ll_hop_scale = node.at("ll_hop_scale").positive_number();
  out.ll_speed = node.at("ll_speed").positive_number();
  out.ll128_speed = node.at("ll128_speed").positive_number();
  out.own_piece = node.at("own_piece_steps").number();
  out.gather_own_piece = node.at("gather_own_piece_steps").number();
  out.block_call = node.at("block_call_seconds").number();
  out.simple_hop_scale = node.at("simple_hop_scale").positive_number();
  out.efficiency = node.at("efficiency").positive_number();
  out.fill = node.at("fill_seconds").number();
  out.exchange_call = node.at("exchange_call_seconds").number();
  out.send_call = node.at("send_call_seconds").number();
  out.exchange_block = node.at("exchange_block_seconds").number();
  out.exchange_ll_bytes_per_second = node.at("exchange_ll_bytes_per_second").positive_number();
  out.exchange_efficiency = node.at("exchange_efficiency").positive_number();
  out.exchange_fill = node.at("exchange_fill_seconds").number();
  out.exchange_own_piece = node.at("exchange_own_piece_steps").number();
  out.spread = node.at("spread").positive_number();
  return out;
}

NetworkOverhead read_network(const JsonNode& node) {
  node.refuse_unknown_keys(
      {"call_seconds", "efficiency", "fill_seconds", "fill_rate", "spread", "measured", "source"});
  NetworkOverhead out;
  out.call = node.at("call_seconds").number();
  out.efficiency = node.at("efficiency").positive_number();
  out.fill = node.at("fill_seconds").number();
  out.fill_rate = node.at("fill_rate").positive_number();
  out.spread = node.at("spread").positive_number();
  out.measured = node.at("measured").boolean();
  return out;
}

PcieReach read_reach(const JsonNode& node) {
  node.refuse_unknown_keys(
      {"neighbours", "in_socket", "across_sockets", "across_old_sockets", "source"});
  return {node.at("neighbours").positive_number(), node.at("in_socket").positive_number(),
          node.at("across_sockets").positive_number(),
          node.at("across_old_sockets").positive_number()};
}

TimingOverhead read_timing(const JsonNode& node) {
  node.refuse_unknown_keys({"launch_seconds", "wait_seconds", "added_seconds", "source"});
  TimingOverhead out;
  if (const auto launch = node.find_value("launch_seconds")) out.launch = launch->number();
  if (const auto wait = node.find_value("wait_seconds")) out.wait = wait->number();
  if (const auto added = node.find_value("added_seconds")) out.added = added->number();
  return out;
}

/// Entry `name` of `entries`; `what` and `where` say what is missing otherwise.
template <typename T>
const T& entry(const std::map<std::string, T>& entries, const std::string& name,
               const std::string& what, const std::string& where = "profile of collectives") {
  const auto found = entries.find(name);
  if (found != entries.end()) return found->second;
  std::vector<std::string> known;
  for (const auto& [key, value] : entries) known.push_back(key);
  throw profiles::InputError(where, what, "'" + name + "'" + profiles::did_you_mean(name, known));
}

std::string generation_name(int capability) {
  if (capability < 80) return "volta";
  if (capability < 90) return "ampere";
  return capability < 100 ? "hopper" : "blackwell";
}

}  // namespace

CollectiveProfile load_collective_profile(const profiles::DataFiles& files) {
  const auto node = files.find("collectives/overheads");
  if (!node) throw profiles::InputError("profile of collectives", "collectives/overheads", "none");
  node->require_schema("collectives");
  node->refuse_unknown_keys({"schema", "source", "method", "ll_own_piece_steps", "ll_load",
                             "ll_load_bytes", "network_hop_scale", "simple_overlap", "fill_rate",
                             "nvls_call_seconds", "nvls_fill_seconds", "send_block_seconds",
                             "exchange_near_peer_seconds", "exchange_peer_seconds", "pcie_reach",
                             "fabrics", "networks", "timings"});
  CollectiveProfile out;
  out.ll_own_piece = node->at("ll_own_piece_steps").number();
  out.ll_load = node->at("ll_load").number();
  out.ll_load_bytes = node->at("ll_load_bytes").positive_number();
  out.network_hop_scale = node->at("network_hop_scale").positive_number();
  out.overlap = node->at("simple_overlap").number();
  out.fill_rate = node->at("fill_rate").positive_number();
  out.nvls_call = node->at("nvls_call_seconds").number();
  out.nvls_fill = node->at("nvls_fill_seconds").number();
  out.send_block = node->at("send_block_seconds").number();
  out.exchange_near_peer = node->at("exchange_near_peer_seconds").number();
  out.exchange_peer = node->at("exchange_peer_seconds").number();
  const JsonNode reaches = node->at("pcie_reach");
  reaches.refuse_unknown_keys({"none", "switch", "host"});
  for (const auto reach : {PeerToPeer::None, PeerToPeer::Switch, PeerToPeer::Host}) {
    out.pcie_reach.emplace(reach, read_reach(reaches.at(profiles::name(reach))));
  }
  for (const auto& [name, fabric] : node->at("fabrics").members()) {
    out.fabrics.emplace(name, read_fabric(fabric));
  }
  for (const auto& [name, network] : node->at("networks").members()) {
    out.networks.emplace(name, read_network(network));
  }
  const JsonNode timings = node->at("timings");
  timings.refuse_unknown_keys(
      {"launched", "kernel", "program", "old_host_scale", "old_host_source"});
  out.old_host_scale = timings.at("old_host_scale").positive_number();
  for (const char* name : {"launched", "kernel", "program"}) {
    if (const auto timing = timings.find(name)) out.timings.emplace(name, read_timing(*timing));
  }
  for (const std::string& file : files.names("collectives")) {
    if (!file.starts_with("nccl-")) continue;
    const std::string version = file.substr(5);
    out.nccl.emplace(version, load_nccl_constants(version, files));
  }
  return out;
}

const CollectiveProfile& shipped_collective_profile() {
  static const CollectiveProfile kProfile = load_collective_profile(profiles::DataFiles());
  return kProfile;
}

const NcclConstants& nccl_constants_of(const CollectiveProfile& profile, const Cluster& cluster) {
  return entry(profile.nccl, cluster.nccl_version, "an NCCL version with constants",
               "nccl_version of " + cluster.name);
}

const FabricOverhead& fabric_overhead_of(const CollectiveProfile& profile, const GroupShape& shape,
                                         const Cluster& cluster) {
  std::string name = generation_name(cluster.device.compute_capability);
  if (cluster.intra_kind == IntraNodeKind::SharedMemory) {
    name = "shared-memory";
  } else if (cluster.intra_kind == IntraNodeKind::Pcie || shape.nvlink_domains > 1) {
    name = "pcie";
  }
  return entry(profile.fabrics, name, "overheads of this kind of node");
}

const NetworkOverhead& network_overhead_of(const CollectiveProfile& profile,
                                           const Cluster& cluster) {
  const std::string kind(profiles::name(cluster.inter_kind));
  const std::string own = kind + "/" + generation_name(cluster.device.compute_capability);
  if (const auto found = profile.networks.find(own); found != profile.networks.end()) {
    return found->second;
  }
  return entry(profile.networks, kind, "overheads of this kind of network");
}

}  // namespace meshplan::planner
