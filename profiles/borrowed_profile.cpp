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
  for (double* multiple : {&profile.gemm.raster_width, &profile.gemm.l2_bandwidth,
                           &profile.gemm.block_bandwidth, &profile.decode.l2_bandwidth,
                           &profile.decode.block_bandwidth, &profile.memory_bound.l2_bandwidth}) {
    *multiple *= balance;
  }
}

/// Exponentials that a multiprocessor computes a cycle. Source: NVIDIA, Inside Blackwell Ultra,
/// 2025 (twice the special functions of Blackwell, for attention).
double exponentials_a_cycle(int compute_capability) { return compute_capability == 103 ? 32 : 16; }

/// Seconds of the device for one pair of query and key: two products of `head_dim`, beside the
/// exponential of their score. The power is what B200's efficiencies ask for, which it meets
/// within 15%, 0 and 5% at 64, 128 and 256 (FlashAttention-4 names the same limit).
double pair_seconds(const Device& device, const DeviceClocks& clocks, int head_dim,
                    double exponentials) {
  constexpr double kOverlap = 1.3;
  const double peak = device.peak_at(DataType::Bf16).rate * clocks.maximum / clocks.peak;
  const double products = 4.0 * head_dim / peak;
  const double scores = 1 / (exponentials * device.multiprocessors * clocks.maximum);
  return std::pow(std::pow(products, kOverlap) + std::pow(scores, kOverlap), 1 / kOverlap);
}

/// Attention with the exponentials of its own device, where the kin computes fewer. Backward makes
/// five products beside one exponential and is left as it was, by what head dimension 128 gains.
void convert_exponentials(DeviceProfile& profile, const DeviceClocks& own, const Device& kin) {
  const double has = exponentials_a_cycle(profile.device.compute_capability);
  const double kin_has = exponentials_a_cycle(kin.compute_capability);
  const auto gain = [&](int head_dim) {
    return pair_seconds(profile.device, own, head_dim, kin_has) /
           pair_seconds(profile.device, own, head_dim, has);
  };
  for (HeadDimEfficiency& e : profile.attention.head_dims) e.forward *= gain(e.head_dim);
  profile.attention.backward_efficiency /= gain(128);
}

/// Whether multiprocessors of two compute capabilities run the same kernels: 103 is 100 with other
/// rates of narrow formats and exponentials.
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
    if (own_clocks && kin_clocks) {
      convert_clocks(out, *own_clocks, *kin, *kin_clocks);
      convert_exponentials(out, *own_clocks, *kin);
    }
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
