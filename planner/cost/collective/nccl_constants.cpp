#include "planner/cost/collective/nccl_constants.h"

#include <charconv>

#include "profiles/input_error.h"
#include "profiles/nearest_name.h"

namespace meshplan::planner {
namespace {

using profiles::JsonNode;

template <std::size_t N>
std::array<double, N> read_numbers(const JsonNode& node) {
  const auto elements = node.elements();
  if (elements.size() != N) node.refuse(std::to_string(N) + " numbers");
  std::array<double, N> out{};
  for (std::size_t i = 0; i < N; ++i) {
    out[i] = elements[i].number();
    if (out[i] < 0) elements[i].refuse("a number >= 0");
  }
  return out;
}

NcclConstants::ByGenerationAndNodes read_table(const JsonNode& node) {
  const auto rows = node.elements();
  NcclConstants::ByGenerationAndNodes out{};
  if (rows.size() != out.size()) node.refuse("a row for each of four generations");
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = read_numbers<3>(rows[i]);
  return out;
}

std::array<std::array<double, kProtocols>, kAlgorithms> read_latencies(const JsonNode& node) {
  node.refuse_unknown_keys({"tree", "ring", "nvls", "nvls_tree"});
  return {read_numbers<3>(node.at("tree")), read_numbers<3>(node.at("ring")),
          read_numbers<3>(node.at("nvls")), read_numbers<3>(node.at("nvls_tree"))};
}

int read_capability(const std::string& key, const JsonNode& node) {
  int value = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), value);
  if (error != std::errc{} || end != key.data() + key.size()) node.refuse("compute capabilities");
  return value;
}

std::map<int, std::vector<double>> read_speeds(const JsonNode& node) {
  std::map<int, std::vector<double>> out;
  for (const auto& [key, list] : node.members()) {
    std::vector<double>& speeds = out[read_capability(key, node)];
    for (const JsonNode& speed : list.elements()) {
      if (!speeds.empty() && speed.number() >= speeds.back()) list.refuse("speeds, largest first");
      speeds.push_back(speed.positive_number());
    }
    if (speeds.empty()) list.refuse("at least one speed");
  }
  if (out.empty()) node.refuse("speeds by compute capability");
  return out;
}

}  // namespace

NcclConstants read_nccl_constants(const JsonNode& node) {
  node.require_schema("nccl");
  node.refuse_unknown_keys({"schema", "version", "source", "columns", "base_latency_seconds",
                            "hop_latency_seconds", "host_overhead_seconds", "ll_bytes_per_second",
                            "channel_ring_ll128_bytes_per_second",
                            "channel_tree_ll128_bytes_per_second", "channel_tree_bytes_per_second",
                            "channel_nvls_tree_bytes_per_second", "nvls_efficiency",
                            "tree_correction", "correct_nvls_tree", "intra_speeds_bytes_per_second",
                            "inter_speeds_bytes_per_second", "nvlink_share", "pcie_share"});
  NcclConstants out;
  out.version = node.at("version").string();
  out.base_latency = read_latencies(node.at("base_latency_seconds"));
  const JsonNode hops = node.at("hop_latency_seconds");
  hops.refuse_unknown_keys({"nvlink", "pcie", "network"});
  out.hop_latency = {read_latencies(hops.at("nvlink")), read_latencies(hops.at("pcie")),
                     read_latencies(hops.at("network"))};
  for (const auto& [cpu, overhead] : node.at("host_overhead_seconds").members()) {
    out.host_overhead[cpu] = overhead.number();
  }
  out.ll = read_table(node.at("ll_bytes_per_second"));
  out.ring_ll128 = read_table(node.at("channel_ring_ll128_bytes_per_second"));
  out.tree_ll128 = read_table(node.at("channel_tree_ll128_bytes_per_second"));
  out.tree = read_table(node.at("channel_tree_bytes_per_second"));
  out.nvls_tree = read_table(node.at("channel_nvls_tree_bytes_per_second"));
  out.nvls_efficiency = read_numbers<4>(node.at("nvls_efficiency"));
  const JsonNode correction = node.at("tree_correction");
  correction.refuse_unknown_keys({"LL", "LL128", "Simple"});
  out.tree_correction = {read_numbers<24>(correction.at("LL")),
                         read_numbers<24>(correction.at("LL128")),
                         read_numbers<24>(correction.at("Simple"))};
  out.correct_nvls_tree = node.at("correct_nvls_tree").boolean();
  out.intra_speeds = read_speeds(node.at("intra_speeds_bytes_per_second"));
  out.inter_speeds = read_speeds(node.at("inter_speeds_bytes_per_second"));
  const JsonNode shares = node.at("nvlink_share");
  for (const auto& [key, share] : shares.members()) {
    out.nvlink_share[read_capability(key, shares)] = share.positive_number();
  }
  if (out.nvlink_share.empty()) shares.refuse("shares by compute capability");
  out.pcie_share = node.at("pcie_share").positive_number();
  return out;
}

NcclConstants load_nccl_constants(const std::string& version, const profiles::DataFiles& files) {
  if (version.find('/') == std::string::npos) {
    if (const auto node = files.find("collectives/nccl-" + version)) {
      return read_nccl_constants(*node);
    }
  }
  std::vector<std::string> known;
  for (const std::string& file : files.names("collectives")) {
    if (file.starts_with("nccl-")) known.push_back(file.substr(5));
  }
  throw profiles::InputError("nccl_version", "a version with constants",
                             "'" + version + "'" + profiles::did_you_mean(version, known));
}

}  // namespace meshplan::planner
