#include "profiles/topology.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include "profiles/cluster_json.h"
#include "profiles/device_json.h"
#include "profiles/input_error.h"
#include "profiles/product_names.h"
#include "profiles/topology_matrix.h"
#include "profiles/topology_xml.h"

namespace meshplan::profiles {
namespace {

using nlohmann::json;
using Gpu = Topology::Gpu;
using Nic = Topology::Nic;

/// NVIDIA's PCI device ids. Source: the PCI ID repository (pci.ids), vendor 10de.
constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kPciDevices = {
    {{"0x1db1", "v100-sxm2-16gb"},
     {"0x20b0", "a100-sxm-40gb"},
     {"0x20b2", "a100-sxm-80gb"},
     {"0x20b5", "a100-pcie-80gb"},
     {"0x2235", "a40-48gb"},
     {"0x26b9", "l40s-48gb"},
     {"0x27b8", "l4-24gb"},
     {"0x2330", "h100-sxm-80gb"},
     {"0x2331", "h100-pcie-80gb"},
     {"0x2335", "h200-sxm-141gb"},
     {"0x2901", "b200-sxm-180gb"}}};

int nvlinks(const Gpu& gpu) {
  int out = gpu.switch_links;
  for (const auto& [peer, links] : gpu.peer_links) out += links;
  return out;
}

std::optional<std::string> device_by_pci(const Gpu& gpu) {
  const auto found = std::find_if(kPciDevices.begin(), kPciDevices.end(),
                                  [&](const auto& entry) { return entry.first == gpu.pci_device; });
  if (found == kPciDevices.end()) return std::nullopt;
  return std::string(found->second);
}

/// The usual device of a compute capability; where that is not stated either, of so many NVLinks.
std::string guessed_device(const Topology& topology) {
  const Gpu& gpu = topology.gpus.front();
  const bool arm = topology.host_cpu == "arm";
  switch (gpu.compute_capability) {
    case 0:
      break;
    case 70:
      return "v100-sxm2-16gb";
    case 80:
      return nvlinks(gpu) == 0 || gpu.peer_links.size() == 1 ? "a100-pcie-80gb" : "a100-sxm-80gb";
    case 86:
      return "a40-48gb";
    case 89:
      return "l40s-48gb";
    case 90:
      if (arm) return "gh200-96gb";
      return nvlinks(gpu) == 0 || gpu.peer_links.size() == 1 ? "h100-pcie-80gb" : "h100-sxm-80gb";
    case 100:
      return arm ? "gb200-186gb" : "b200-sxm-180gb";
    case 103:
      return arm ? "gb300-288gb" : "b300-sxm-288gb";
    case 120:
      return "rtx-pro-6000-96gb";
    default:
      throw InputError(topology.source + ": " + gpu.name,
                       "a compute capability of 70, 80, 86, 89, 90, 100, 103 or 120",
                       std::to_string(gpu.compute_capability));
  }
  // NVLinks of an L40S: none; A40: 4, to one other; V100: 6; A100: 12; H100: 18.
  const int links = nvlinks(gpu);
  const bool paired = gpu.peer_links.size() == 1;
  if (links == 0) return "l40s-48gb";
  if (links <= 4 && paired) return "a40-48gb";
  if (links <= 6) return "v100-sxm2-16gb";
  if (links <= 12) return paired ? "a100-pcie-80gb" : "a100-sxm-80gb";
  return "h100-sxm-80gb";
}

std::string device_of(const Topology& topology, bool& guessed) {
  std::set<std::string> kinds;
  for (const Gpu& gpu : topology.gpus) {
    kinds.insert((gpu.product.empty() ? gpu.pci_device : gpu.product) + " of compute capability " +
                 std::to_string(gpu.compute_capability));
  }
  if (kinds.size() > 1) {
    throw InputError(topology.source, "one kind of device in a cluster is supported, found " +
                                          *kinds.begin() + " and " + *std::next(kinds.begin()));
  }
  const Gpu& first = topology.gpus.front();
  if (const auto known = device_by_pci(first)) return *known;
  if (!first.product.empty()) {
    if (const auto known = device_of_product(first.product)) return *known;
    throw InputError(topology.source, "a GPU that a preset describes", "'" + first.product + "'");
  }
  guessed = true;
  return guessed_device(topology);
}

std::optional<BytesPerSecond> slowest_pcie(const Topology& topology) {
  std::optional<BytesPerSecond> out;
  for (const Gpu& gpu : topology.gpus) {
    if (gpu.pcie && (!out || *gpu.pcie < *out)) out = gpu.pcie;
  }
  return out;
}

std::vector<Nic> network_nics(const Topology& topology) {
  std::vector<Nic> beside;
  for (const Nic& nic : topology.nics) {
    if (nic.beside_gpu) beside.push_back(nic);
  }
  return beside.empty() ? topology.nics : beside;
}

json inter_node(const std::vector<Nic>& nics) {
  json out = {{"nics_per_node", nics.size()}};
  std::optional<BytesPerSecond> slowest;
  for (const Nic& nic : nics) {
    if (nic.bandwidth && (!slowest || *nic.bandwidth < *slowest)) slowest = nic.bandwidth;
  }
  if (slowest) out["bytes_per_second_per_nic"] = slowest->rate;
  if (nics.front().kind) out["kind"] = name(*nics.front().kind);
  return out;
}

/// Links of every GPU alike: what the short form of a cluster can say; else none.
std::optional<json> short_form(const Topology& topology, const Device& device) {
  const std::vector<Gpu>& gpus = topology.gpus;
  const Gpu& first = gpus.front();
  const auto pcie = slowest_pcie(topology);
  json out = json::object();
  if (pcie) out["pcie_bytes_per_second_per_device"] = pcie->rate;
  const auto by_links = [&](const char* kind, int links) {
    out["kind"] = kind;
    out["bytes_per_second_per_device"] = links * device.nvlink_bandwidth.rate;
    return out;
  };
  const bool switched =
      std::any_of(gpus.begin(), gpus.end(), [](const Gpu& gpu) { return gpu.switch_links > 0; });
  if (switched) {
    int least = first.switch_links;
    for (const Gpu& gpu : gpus) {
      if (gpu.switch_links == 0) {
        throw InputError(topology.source + ": " + gpu.name,
                         "NVLinks to the switch, as the other GPUs have", "none");
      }
      least = std::min(least, gpu.switch_links);
    }
    return by_links("nvswitch", least);
  }
  if (std::all_of(gpus.begin(), gpus.end(),
                  [](const Gpu& gpu) { return gpu.peer_links.empty(); })) {
    out["kind"] = "pcie";
    out["bytes_per_second_per_device"] = (pcie ? *pcie : device.pcie_bandwidth).rate;
    return out;
  }
  const int links = first.peer_links.empty() ? 0 : first.peer_links.begin()->second;
  const bool alike = std::all_of(gpus.begin(), gpus.end(), [&](const Gpu& gpu) {
    return gpu.peer_links.size() == first.peer_links.size() &&
           std::all_of(gpu.peer_links.begin(), gpu.peer_links.end(),
                       [&](const auto& peer) { return peer.second == links; });
  });
  const std::size_t peers = first.peer_links.size();
  // The short form's pairs are neighbours: 0 and 1, 2 and 3.
  bool neighbours = true;
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    neighbours = neighbours && gpus[i].peer_links.contains(static_cast<int>(i ^ 1));
  }
  if (alike && peers == 1 && neighbours) return by_links("nvlink-pairs", links);
  if (alike && peers + 1 == gpus.size()) {
    return by_links("nvlink-mesh", links * static_cast<int>(peers));
  }
  return std::nullopt;
}

/// Every link by itself: GPUs to their peers and to the host, NICs to the host.
json whole_graph(const Topology& topology, const Device& device, const std::vector<Nic>& nics) {
  json nodes = json::array({{{"name", "host"}, {"kind", "host"}}});
  json links = json::array();
  const auto link = [&](const std::string& from, const std::string& to, double rate) {
    links.push_back({{"from", from}, {"to", to}, {"bytes_per_second", rate}});
  };
  const auto gpu_name = [](int i) { return "gpu" + std::to_string(i); };
  for (int i = 0; i < static_cast<int>(topology.gpus.size()); ++i) {
    const Gpu& gpu = topology.gpus[static_cast<std::size_t>(i)];
    nodes.push_back({{"name", gpu_name(i)}, {"kind", "device"}});
    link(gpu_name(i), "host", gpu.pcie.value_or(device.pcie_bandwidth).rate);
    for (const auto& [peer, count] : gpu.peer_links) {
      if (peer < i) link(gpu_name(peer), gpu_name(i), count * device.nvlink_bandwidth.rate);
    }
  }
  for (std::size_t i = 0; i < nics.size(); ++i) {
    const std::string nic = "nic" + std::to_string(i);
    nodes.push_back({{"name", nic}, {"kind", "nic"}});
    link(nic, "host", nics[i].bandwidth.value_or(device.pcie_bandwidth).rate);
  }
  return {{"nodes", nodes}, {"links", links}};
}

}  // namespace

bool is_topology_file(const std::string& path) {
  return path.ends_with(".xml") || path.ends_with(".txt");
}

Topology read_topology_file(const std::string& path) {
  constexpr std::uintmax_t kLargest = std::uintmax_t{64} << 20;
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (!error && size > kLargest) {
    throw InputError(path, "a topology of at most 64 MiB", std::to_string(size >> 20) + " MiB");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(path, "a readable file", std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  return path.ends_with(".xml") ? read_topology_xml(text.view(), path)
                                : read_topology_matrix(text.view(), path);
}

Cluster cluster_of(const Topology& topology, const DataFiles& files, const std::string& name) {
  if (topology.gpus.empty()) throw InputError(topology.source, "at least one GPU", "none");
  bool guessed = false;
  const std::string id = device_of(topology, guessed);
  const Device device = load_device(id, files);
  const bool any_nvlink = std::any_of(topology.gpus.begin(), topology.gpus.end(),
                                      [](const Gpu& gpu) { return nvlinks(gpu) > 0; });
  if (any_nvlink && device.nvlinks == 0) {
    throw InputError(topology.source, "no NVLink on " + id, "NVLinks");
  }
  const std::vector<Nic> nics = network_nics(topology);
  json document = {{"schema", "meshplan.cluster/1"},
                   {"name", name},
                   {"device", id},
                   {"source", topology.source}};
  if (!topology.host_cpu.empty()) document["host_cpu"] = topology.host_cpu;
  if (!topology.links_stated) {
    document["devices_per_node"] = topology.gpus.size();
  } else if (const auto intra = short_form(topology, device)) {
    document["devices_per_node"] = topology.gpus.size();
    document["intra_node"] = *intra;
    if (!nics.empty()) document["inter_node"] = inter_node(nics);
  } else {
    document["graph"] = whole_graph(topology, device, nics);
    if (!nics.empty() && nics.front().kind) {
      document["inter_node"] = {{"kind", profiles::name(*nics.front().kind)}};
    }
  }
  Cluster out =
      read_cluster(JsonNode::parse(document.dump(-1, ' ', false, json::error_handler_t::replace),
                                   topology.source),
                   files, name);
  if (guessed) out.assumed.insert(out.assumed.begin(), "device");
  return out;
}

}  // namespace meshplan::profiles
