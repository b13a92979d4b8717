#include "profiles/borrowed_profile.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "profiles/device_clocks.h"
#include "profiles/device_json.h"
#include "profiles/device_profile_json.h"

namespace meshplan::profiles {
namespace {

/// Spread that borrowing adds to the kin's own, between devices of one generation and of two.
/// Measured by predicting each fitted device from its kin: with these, 80% intervals hold 80 to 93%
/// of each table's rows, and 78 to 93% (but 53% of B200's decode attention, priced as Hopper's).
constexpr double kKinSpread = 0.02, kDistantKinSpread = 0.14;

/// Whose constants a device without a profile borrows: the generations whose multiprocessors work
/// alike, by compute capability, best first. 86 and 89 (GDDR, 128 KB of shared memory) stand closer
/// to each other than to 80, which Hopper predicts better; 120 keeps the warp-level matrix products
/// of 89. The order among those that were measured is that of the errors of evaluate --unseen.
struct Kinship {
  int compute_capability;
  std::array<int, 3> kin;
};
constexpr std::array<Kinship, 9> kKin = {{{70, {80, 89, 90}},
                                          {75, {89, 80, 90}},
                                          {80, {80, 90, 89}},
                                          {86, {89, 80, 90}},
                                          {89, {89, 80, 90}},
                                          {90, {90, 80, 100}},
                                          {100, {100, 90, 80}},
                                          {103, {100, 90, 80}},
                                          {120, {89, 100, 90}}}};

/// How differently two devices balance compute against memory, and how large they are.
double distance(const Device& a, const Device& b) {
  const double peaks = std::log(a.peak_at(DataType::Bf16).rate / b.peak_at(DataType::Bf16).rate);
  const double bandwidths = std::log(a.memory_bandwidth.rate / b.memory_bandwidth.rate);
  return std::abs(peaks) + std::abs(bandwidths);
}

/// Nearest of the fitted devices of `capability`, without `device` itself.
std::optional<Device> nearest_kin(const Device& device, int capability, const DataFiles& files) {
  std::optional<Device> nearest;
  for (const std::string& id : files.names("profiles")) {
    Device kin = load_device(profile_device(files.at("profiles", id, "profile")), files);
    if (kin.compute_capability != capability || kin.id == device.id) continue;
    if (nearest && distance(kin, device) >= distance(*nearest, device)) continue;
    nearest = std::move(kin);
  }
  return nearest;
}

/// Constants of `profile`, fitted on `kin`, as they follow the clocks of its own device.
void convert_clocks(DeviceProfile& profile, const DeviceClocks& own, const Device& kin,
                    const DeviceClocks& kin_clocks) {
  const bool capped = own.loaded && kin_clocks.loaded;
  const double reached = capped ? *own.loaded : own.maximum;
  const double kin_reached = capped ? *kin_clocks.loaded : kin_clocks.maximum;
  const double headroom = (reached / own.peak) / (kin_reached / kin_clocks.peak);
  for (GemmTile& tile : profile.gemm.tiles) tile.efficiency *= headroom;
  for (HeadDimEfficiency& e : profile.attention.head_dims) e.forward *= headroom;

  for (Seconds* launch :
       {&profile.gemm.launch, &profile.gemm.vector_launch, &profile.attention.launch,
        &profile.attention.token, &profile.decode.launch, &profile.decode.split_overhead,
        &profile.memory_bound.launch}) {
    *launch *= kin_clocks.maximum / own.maximum;
  }

  const Device& device = profile.device;
  const auto memory_bytes_a_cycle = [](const Device& d, const DeviceClocks& clocks) {
    return d.memory_bandwidth.rate / (d.multiprocessors * clocks.maximum);
  };
  const double balance = memory_bytes_a_cycle(kin, kin_clocks) / memory_bytes_a_cycle(device, own);
  for (double* multiple :
       {&profile.gemm.l2_bandwidth, &profile.gemm.block_bandwidth, &profile.decode.l2_bandwidth,
        &profile.decode.block_bandwidth, &profile.memory_bound.l2_bandwidth}) {
    *multiple *= balance;
  }
}

/// Whether multiprocessors of two compute capabilities run the same kernels: 103 is 100 with other
/// rates of narrow formats.
bool one_generation(int a, int b) {
  const auto family = [](int capability) { return capability == 103 ? 100 : capability; };
  return family(a) == family(b);
}

}  // namespace

std::optional<DeviceProfile> borrowed_profile(const Device& device, const DataFiles& files) {
  const auto* const kinship = std::find_if(kKin.begin(), kKin.end(), [&](const Kinship& k) {
    return k.compute_capability == device.compute_capability;
  });
  if (kinship == kKin.end()) return std::nullopt;
  for (const int capability : kinship->kin) {
    const std::optional<Device> kin = nearest_kin(device, capability, files);
    if (!kin) continue;
    DeviceProfile out = read_profile(files.at("profiles", kin->id, "profile"), device);
    out.fitted = false;
    out.name = device.id + " from " + kin->id;
    out.provenance = "not measured: data sheet of " + device.id + ", constants of " + kin->id +
                     " (" + out.provenance + ")";
    const auto own_clocks = device_clocks(device.id, files);
    const auto kin_clocks = device_clocks(kin->id, files);
    if (own_clocks && kin_clocks) convert_clocks(out, *own_clocks, *kin, *kin_clocks);
    const double added =
        one_generation(capability, device.compute_capability) ? kKinSpread : kDistantKinSpread;
    for (FitRecord* record : {&out.gemm.record, &out.attention.record, &out.decode.record}) {
      record->spread = std::hypot(record->spread, added);
    }
    return out;
  }
  return std::nullopt;
}

}  // namespace meshplan::profiles
