#include "profiles/device_profile.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "profiles/device_json.h"
#include "profiles/device_profile_json.h"
#include "profiles/sustained_clock.h"

namespace meshplan::profiles {
namespace {

/// Spread that borrowing adds to the kin's own, between devices of one compute capability and of
/// two. Measured by predicting each fitted device from the constants of each other one.
constexpr double kKinSpread = 0.08, kDistantKinSpread = 0.2;

/// Whose constants a device without a profile borrows: the generations whose multiprocessors work
/// alike, by compute capability, best first. 86 and 89 (GDDR, 128 KB of shared memory) stand closer
/// to each other than to 80; 120 keeps the warp-level matrix products of 89.
struct Kinship {
  int compute_capability;
  std::array<int, 3> kin;
};
constexpr std::array<Kinship, 9> kKin = {{{70, {80, 89, 90}},
                                          {75, {89, 80, 90}},
                                          {80, {80, 89, 90}},
                                          {86, {89, 80, 90}},
                                          {89, {89, 80, 90}},
                                          {90, {90, 100, 80}},
                                          {100, {100, 90, 80}},
                                          {103, {100, 90, 80}},
                                          {120, {89, 100, 90}}}};

/// How differently two devices balance compute against memory, and how large they are.
double distance(const Device& a, const Device& b) {
  const double peaks = std::log(a.peak_at(DataType::Bf16).rate / b.peak_at(DataType::Bf16).rate);
  const double bandwidths = std::log(a.memory_bandwidth.rate / b.memory_bandwidth.rate);
  return std::abs(peaks) + std::abs(bandwidths);
}

std::optional<DeviceProfile> borrowed(const Device& device, const DataFiles& files) {
  const auto* const kinship = std::find_if(kKin.begin(), kKin.end(), [&](const Kinship& k) {
    return k.compute_capability == device.compute_capability;
  });
  if (kinship == kKin.end()) return std::nullopt;
  for (const int capability : kinship->kin) {
    std::optional<Device> nearest;
    std::optional<JsonNode> document;
    for (const std::string& id : files.names("profiles")) {
      const JsonNode node = files.at("profiles", id, "profile");
      const Device kin = load_device(profile_device(node), files);
      if (kin.compute_capability != capability) continue;
      if (nearest && distance(kin, device) >= distance(*nearest, device)) continue;
      nearest = kin;
      document = node;
    }
    if (!document) continue;
    DeviceProfile out = read_profile(*document, device);
    out.name = device.id + " from " + nearest->id;
    out.provenance = "not measured: data sheet of " + device.id + ", constants of " + nearest->id +
                     " (" + out.provenance + ")";
    const double added = capability == device.compute_capability ? kKinSpread : kDistantKinSpread;
    for (FitRecord* record : {&out.gemm.record, &out.attention.record, &out.decode.record}) {
      record->spread = std::hypot(record->spread, added);
    }
    return out;
  }
  return std::nullopt;
}

/// Tiles of GPU libraries, for a device without any kin that was measured.
std::vector<GemmTile> usual_tiles() {
  return {{256, 128, 0.80}, {128, 256, 0.80}, {128, 128, 0.75}, {64, 256, 0.70}, {256, 64, 0.70},
          {64, 128, 0.65},  {128, 64, 0.65},  {64, 64, 0.55},   {16, 64, 0.15}};
}

DeviceProfile data_sheet_only(const Device& device) {
  DeviceProfile out;
  out.name = device.id;
  out.provenance = "not measured: data sheet only, usual efficiencies of GPU libraries";
  out.gemm.tiles = usual_tiles();
  out.attention.head_dims = {{64, 0.45}, {128, 0.6}, {256, 0.65}};
  return out;
}

/// A CPU's libraries cut C in register blocks over the cores; calls cost little, caches hold what
/// L2 of a GPU holds, and nothing streams faster than memory allows.
DeviceProfile processor_roofline(const Device& device) {
  DeviceProfile out;
  out.name = device.id;
  out.provenance = "not measured: roofline of a CPU; measure with 'meshplan profile --backend cpu'";
  const Seconds call{1e-6};
  out.gemm.launch = out.gemm.vector_launch = call;
  out.gemm.tile_overhead = out.gemm.area_overhead = out.gemm.split_overhead = Seconds{1e-7};
  out.gemm.memory_efficiency = 0.8;
  out.gemm.tiles = {{64, 64, 0.7}, {16, 64, 0.5}, {4, 16, 0.3}};
  out.attention.launch = out.decode.launch = call;
  out.attention.block_overhead = out.decode.block_overhead = out.decode.split_overhead =
      Seconds{1e-7};
  out.attention.query_tile = 32;
  out.attention.head_dims = {{64, 0.3}, {128, 0.35}};
  out.memory_bound.launch = call;
  out.memory_bound.efficiency = 0.8;
  return out;
}

}  // namespace

DeviceProfile load_profile(const Device& device, const DataFiles& files) {
  if (const auto node = files.find("profiles/" + device.id)) return read_profile(*node, device);
  DeviceProfile out;
  if (device.architecture == "cpu") {
    out = processor_roofline(device);
  } else if (auto kin = borrowed(device, files)) {
    out = std::move(*kin);
  } else {
    out = data_sheet_only(device);
  }
  out.device = device;
  const SustainedClock clock = sustained_clock(device.id);
  out.sustained_clock_factor = clock.factor;
  out.sustained_clock_cause = clock.cause;
  return out;
}

}  // namespace meshplan::profiles
