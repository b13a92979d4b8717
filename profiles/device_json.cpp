#include "profiles/device_json.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <nlohmann/json.hpp>
#include <vector>

#include "profiles/device_clocks.h"
#include "profiles/input_error.h"
#include "profiles/nearest_name.h"

namespace meshplan::profiles {
namespace {

constexpr std::array kDataTypes = {DataType::Fp32, DataType::Tf32, DataType::Fp16,
                                   DataType::Bf16, DataType::Fp8,  DataType::Fp4};

constexpr DeviceAlias kAliases[] = {
    {"a100", "a100-sxm-80gb"},
    {"a100-40gb", "a100-sxm-40gb"},
    {"a100-80gb", "a100-sxm-80gb"},
    {"a100-sxm", "a100-sxm-80gb"},
    {"a100-pcie", "a100-pcie-80gb"},
    {"h100", "h100-sxm-80gb"},
    {"h100-sxm", "h100-sxm-80gb"},
    {"h100-80gb", "h100-sxm-80gb"},
    {"h100-pcie", "h100-pcie-80gb"},
    {"h100-96gb", "h100-hbm2e-96gb"},
    {"h200", "h200-sxm-141gb"},
    {"h200-sxm", "h200-sxm-141gb"},
    {"b200", "b200-sxm-180gb"},
    {"b200-sxm", "b200-sxm-180gb"},
    {"b300", "b300-sxm-288gb"},
    {"b300-sxm", "b300-sxm-288gb"},
    {"gb200", "gb200-186gb"},
    {"gb300", "gb300-288gb"},
    {"gh200", "gh200-96gb"},
    {"l40s", "l40s-48gb"},
    {"l4", "l4-24gb"},
    {"a40", "a40-48gb"},
    {"v100", "v100-sxm2-16gb"},
    {"v100-sxm2", "v100-sxm2-16gb"},
    {"rtx-pro-6000", "rtx-pro-6000-96gb"},
    {"cpu", "host-cpu"},
};

std::array<std::optional<FlopsPerSecond>, 6> read_peaks(const JsonNode& node) {
  node.refuse_unknown_keys({"fp32", "tf32", "fp16", "bf16", "fp8", "fp4"});
  std::array<std::optional<FlopsPerSecond>, 6> peaks;
  for (const DataType type : kDataTypes) {
    if (const auto rate = node.find_value(name(type))) {
      peaks[static_cast<std::size_t>(type)] = FlopsPerSecond{rate->positive_number()};
    }
  }
  if (!peaks[static_cast<std::size_t>(DataType::Fp32)]) node.at("fp32").refuse("a number > 0");
  return peaks;
}

}  // namespace

Device read_device(const JsonNode& node) {
  node.require_schema("device");
  node.refuse_unknown_keys(
      {"schema", "id", "architecture", "compute_capability", "peak_flops_per_second",
       "memory_bytes", "memory_bandwidth_bytes_per_second", "l2_cache_bytes", "multiprocessors",
       "peak_clock_hertz", "maximum_clock_hertz", "loaded_clock_hertz", "nvlinks",
       "nvlink_bytes_per_second", "pcie_bytes_per_second", "c2c_bytes_per_second", "usual_cluster",
       "dollars_per_hour", "source"});
  read_clocks(node);  // used by borrowed_profile() only, but wrong wherever it stands
  constexpr std::int64_t kMostBytes = std::int64_t{1} << 50;
  Device device;
  device.id = node.at("id").string();
  device.architecture = node.at("architecture").string();
  device.compute_capability = static_cast<int>(node.at("compute_capability").integer(0, 999));
  device.peak = read_peaks(node.at("peak_flops_per_second"));
  device.memory = Bytes{node.at("memory_bytes").integer(1, kMostBytes)};
  device.memory_bandwidth = {node.at("memory_bandwidth_bytes_per_second").positive_number()};
  device.l2_cache = Bytes{node.at("l2_cache_bytes").integer(1, kMostBytes)};
  device.multiprocessors = node.at("multiprocessors").count();
  device.nvlinks = static_cast<int>(node.at("nvlinks").integer(0, 1000));
  if (device.nvlinks > 0) {
    device.nvlink_bandwidth = {node.at("nvlink_bytes_per_second").positive_number()};
  }
  device.pcie_bandwidth = {node.at("pcie_bytes_per_second").positive_number()};
  if (const auto c2c = node.find_value("c2c_bytes_per_second")) {
    device.c2c_bandwidth = BytesPerSecond{c2c->positive_number()};
  }
  if (const auto usual = node.find_value("usual_cluster")) device.usual_cluster = usual->string();
  if (const auto price = node.find_value("dollars_per_hour")) {
    device.dollars_per_hour = price->positive_number();
  }
  if (const auto source = node.find_value("source")) device.source = source->string();
  return device;
}

nlohmann::json device_json(const Device& device) {
  nlohmann::json peaks = nlohmann::json::object();
  for (const DataType type : kDataTypes) {
    if (const auto& rate = device.peak[static_cast<std::size_t>(type)]) {
      peaks[std::string(name(type))] = rate->rate;
    }
  }
  nlohmann::json out = {
      {"schema", "meshplan.device/1"},
      {"id", device.id},
      {"architecture", device.architecture},
      {"compute_capability", device.compute_capability},
      {"peak_flops_per_second", peaks},
      {"memory_bytes", device.memory.count},
      {"memory_bandwidth_bytes_per_second", device.memory_bandwidth.rate},
      {"l2_cache_bytes", device.l2_cache.count},
      {"multiprocessors", device.multiprocessors},
      {"nvlinks", device.nvlinks},
      {"pcie_bytes_per_second", device.pcie_bandwidth.rate},
      {"source", device.source},
  };
  if (device.nvlinks > 0) out["nvlink_bytes_per_second"] = device.nvlink_bandwidth.rate;
  if (device.c2c_bandwidth) out["c2c_bytes_per_second"] = device.c2c_bandwidth->rate;
  if (!device.usual_cluster.empty()) out["usual_cluster"] = device.usual_cluster;
  if (device.dollars_per_hour) out["dollars_per_hour"] = *device.dollars_per_hour;
  return out;
}

std::span<const DeviceAlias> device_aliases() { return kAliases; }

std::string device_id_of(const std::string& id_or_alias) {
  std::string id = id_or_alias;
  std::transform(id.begin(), id.end(), id.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const DeviceAlias& alias : kAliases) {
    if (alias.alias == id) return std::string(alias.id);
  }
  return id;
}

Device load_device(const std::string& id_or_alias, const DataFiles& files) {
  const std::string id = device_id_of(id_or_alias);
  // A name is not a path: "../x" must not be looked up among the files.
  if (id.find('/') == std::string::npos) {
    if (const auto node = files.find("devices/" + id)) return read_device(*node);
  }
  std::vector<std::string> known = files.names("devices");
  for (const DeviceAlias& alias : kAliases) known.emplace_back(alias.alias);
  throw InputError("device", "a known device (see 'meshplan list devices')",
                   "'" + id_or_alias + "'" + did_you_mean(id_or_alias, known));
}

}  // namespace meshplan::profiles
