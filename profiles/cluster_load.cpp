#include "profiles/cluster_load.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "profiles/device_json.h"
#include "profiles/input_error.h"
#include "profiles/nearest_name.h"
#include "profiles/topology.h"

namespace meshplan::profiles {
namespace {

/// "NAME:NODES/DEVICES" taken apart.
struct Reference {
  std::string name;
  std::optional<int> nodes, devices_per_node;
};

template <typename Number>
std::optional<Number> number_in(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Reference parse_reference(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return {text, {}, {}};
  Reference out{text.substr(0, colon), {}, {}};
  std::string size = text.substr(colon + 1);
  const auto refuse = [&] {
    throw InputError("cluster", "NAME, NAME:NODES or NAME:NODES/DEVICES", "'" + text + "'");
  };
  if (const std::size_t slash = size.find('/'); slash != std::string::npos) {
    out.devices_per_node = number_in<int>(std::string_view(size).substr(slash + 1));
    if (!out.devices_per_node || *out.devices_per_node < 1) refuse();
    size.resize(slash);
  }
  out.nodes = number_in<int>(size);
  if (!out.nodes || *out.nodes < 1) refuse();
  return out;
}

Cluster sized(Cluster cluster, const Reference& reference) {
  constexpr std::int64_t kMostDevices = 10'000'000;
  if (reference.nodes) cluster.nodes = *reference.nodes;
  if (std::int64_t{cluster.nodes} * cluster.devices_per_node > kMostDevices) {
    throw InputError(
        "cluster", "at most 10,000,000 devices",
        std::to_string(cluster.nodes) + " nodes of " + std::to_string(cluster.devices_per_node));
  }
  if (reference.devices_per_node) {
    if (*reference.devices_per_node > cluster.devices_per_node) {
      throw InputError("cluster",
                       "at most " + std::to_string(cluster.devices_per_node) +
                           " devices a node of " + cluster.name,
                       std::to_string(*reference.devices_per_node));
    }
    cluster.devices_used_per_node = *reference.devices_per_node;
  }
  return cluster;
}

Cluster this_host(const DataFiles& files, const std::string& name) {
  Cluster cluster;
  cluster.name = name;
  cluster.device = load_device("host-cpu", files);
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  cluster.devices_per_node = cluster.devices_used_per_node = cores;
  cluster.nvlink_domain_devices = 1;
  cluster.intra_kind = IntraNodeKind::SharedMemory;
  cluster.intra_bandwidth = cluster.pcie_bandwidth = cluster.device.pcie_bandwidth;
  cluster.inter_kind = InterNodeKind::Ethernet;
  cluster.nics_per_node = 1;
  cluster.nic_bandwidth = {1.25e9};
  cluster.nic_latency = Seconds{20e-6};
  cluster.source = "ranks as threads of this machine";
  cluster.assumed = {"device"};
  return cluster;
}

bool is_file(const std::string& name) {
  return name.ends_with(".json") || name.find('/') != std::string::npos;
}

Cluster load_named(const std::string& name, const DataFiles& files, const ClusterTable& named) {
  if (const auto found = named.find(name); found != named.end()) return found->second;
  if (name == "localhost" || name == "host-cpu") return this_host(files, name);
  if (is_topology_file(name)) {
    return cluster_of(read_topology_file(name), files, std::filesystem::path(name).stem().string());
  }
  if (is_file(name)) {
    const JsonNode node = JsonNode::read_file(name);
    node.require_schema("cluster");
    const auto stated = node.find_value("name");
    return read_cluster(node, files,
                        stated ? stated->string() : std::filesystem::path(name).stem().string());
  }
  if (const auto preset = files.find("clusters/" + name)) {
    preset->require_schema("cluster");
    return read_cluster(*preset, files, name);
  }
  std::vector<std::string> known = files.names("clusters");
  known.emplace_back("localhost");
  known.emplace_back("host-cpu");
  for (const auto& [own, cluster] : named) known.push_back(own);
  throw InputError("cluster", "a known cluster (see 'meshplan list clusters') or a file",
                   "'" + name + "'" + did_you_mean(name, known));
}

/// Keys of the values below `node`, joined by dots.
void collect_keys(const nlohmann::json& node, const std::string& prefix,
                  std::vector<std::string>& out) {
  for (const auto& [key, value] : node.items()) {
    const std::string path = prefix.empty() ? key : prefix + "." + key;
    if (value.is_object()) {
      collect_keys(value, path, out);
    } else if (!value.is_array() && !key.ends_with("schema")) {
      out.push_back(path);
    }
  }
}

nlohmann::json value_of(const std::string& text) {
  if (const auto whole = number_in<std::int64_t>(text)) return *whole;
  if (const auto real = number_in<double>(text)) return *real;  // "nan" and "inf" parse too
  return text;
}

bool joined_by_nvlink(IntraNodeKind kind) {
  return kind != IntraNodeKind::Pcie && kind != IntraNodeKind::SharedMemory;
}

Cluster with_device(Cluster cluster, Device device) {
  const Device& old = cluster.device;
  const double nvlink = old.nvlink_bandwidth.rate > 0 && device.nvlink_bandwidth.rate > 0
                            ? device.nvlink_bandwidth.rate / old.nvlink_bandwidth.rate
                            : 1;
  const double pcie = old.pcie_bandwidth.rate > 0 && device.pcie_bandwidth.rate > 0
                          ? device.pcie_bandwidth.rate / old.pcie_bandwidth.rate
                          : 1;
  if (joined_by_nvlink(cluster.intra_kind) && device.nvlinks == 0) {
    throw InputError("--set device",
                     "a device with NVLink, as cluster '" + cluster.name + "' joins them",
                     "'" + device.id + "'");
  }
  const auto links_nvlink = [&](const GraphLink& link) {
    const auto to_nvlink = [&](int end) {
      const auto kind = cluster.graph_nodes[static_cast<std::size_t>(end)].kind;
      return kind == GraphNode::Kind::Device || kind == GraphNode::Kind::Switch;
    };
    return to_nvlink(link.from) && to_nvlink(link.to);
  };
  for (GraphLink& link : cluster.graph_links) {
    if (links_nvlink(link)) link.bandwidth = nvlink * link.bandwidth;
  }
  cluster.intra_bandwidth =
      (joined_by_nvlink(cluster.intra_kind) ? nvlink : pcie) * cluster.intra_bandwidth;
  cluster.pcie_bandwidth = pcie * cluster.pcie_bandwidth;
  cluster.device = std::move(device);
  std::erase(cluster.assumed, "device");
  return cluster;
}

}  // namespace

Cluster load_cluster(const std::string& text, const DataFiles& files, const ClusterTable& named) {
  // A name with a colon in it, if somebody chose one.
  if (named.contains(text)) return named.at(text);
  const Reference reference = parse_reference(text);
  Cluster cluster = load_named(reference.name, files, named);
  const bool this_one = cluster.name == "localhost" || cluster.name == "host-cpu";
  if (this_one && reference.nodes.value_or(1) != 1) {
    throw InputError("cluster",
                     cluster.name + " or " + cluster.name + ":1/RANKS, it is one machine",
                     "'" + text + "'");
  }
  return sized(std::move(cluster), reference);
}

Cluster apply_setting(Cluster cluster, const std::string& key, const std::string& value,
                      const DataFiles& files) {
  if (key == "device") {
    return with_device(std::move(cluster), named_at("--set device", "device",
                                                    [&] { return load_device(value, files); }));
  }
  nlohmann::json document = cluster_json(cluster);
  std::vector<std::string> known;
  collect_keys(document, "", known);
  known.emplace_back("device");
  known.emplace_back("device.dollars_per_hour");
  for (const char* type : {"fp32", "tf32", "fp16", "bf16", "fp8", "fp4"}) {
    known.push_back("device.peak_flops_per_second." + std::string(type));
  }
  if (std::find(known.begin(), known.end(), key) == known.end()) {
    throw InputError("--set", "a fact of cluster or device",
                     "'" + key + "'" + did_you_mean(key, known));
  }
  if (!cluster.graph_nodes.empty() &&
      (key.starts_with("intra_node.") || key.starts_with("inter_node.bytes") ||
       key.starts_with("inter_node.nics") || key == "devices_per_node")) {
    throw InputError("--set " + key, "cluster '" + cluster.name +
                                         "' states its graph whole; change its file instead");
  }
  std::string pointer = "/" + key;
  std::replace(pointer.begin(), pointer.end(), '.', '/');
  const nlohmann::json parsed = value_of(value);
  if (parsed.is_number() && !std::isfinite(parsed.get<double>())) {
    throw InputError("--set " + key, "a finite number", "'" + value + "'");
  }
  document[nlohmann::json::json_pointer(pointer)] = parsed;
  // What follows from the fact changed, unless it was stated otherwise.
  if (key == "devices_per_node") document.erase("devices_used_per_node");
  if ((key == "devices_per_node" && cluster.nvlink_domain_devices <= cluster.devices_per_node) ||
      key == "intra_node.kind") {
    document.erase("nvlink_domain_devices");
  }
  // A value may be any bytes of the command line; what is no UTF-8 is shown replaced.
  const std::string text = document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const std::string flag = "--set " + key;
  Cluster changed = named_at(flag, flag + "#" + pointer, [&] {
    return read_cluster(JsonNode::parse(text, flag), DataFiles(), cluster.name);
  });
  changed.name = cluster.name;
  changed.assumed = cluster.assumed;
  std::erase(changed.assumed, key);
  return changed;
}

}  // namespace meshplan::profiles
