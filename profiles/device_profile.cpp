#include "profiles/device_profile.h"

#include <cmath>
#include <utility>

#include "profiles/borrowed_profile.h"
#include "profiles/cluster.h"
#include "profiles/device_profile_json.h"
#include "profiles/sustained_clock.h"

namespace meshplan::profiles {
namespace {

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

LogGrid shifted(const LogGrid& grid, double by) {
  std::vector<double> values = grid.values();
  for (double& value : values) value += by;
  return {grid.axes(), std::move(values)};
}

}  // namespace

DeviceProfile slowed(DeviceProfile profile, const TimeFactors& factors) {
  if (!profile.gemm.residual.empty()) {
    profile.gemm.residual = shifted(profile.gemm.residual, std::log(factors.gemm));
  } else {
    for (GemmTile& tile : profile.gemm.tiles) tile.efficiency /= factors.gemm;
    profile.gemm.memory_efficiency /= factors.gemm;
  }
  if (!profile.attention.residual.empty()) {
    profile.attention.residual = shifted(profile.attention.residual, std::log(factors.attention));
  } else {
    for (HeadDimEfficiency& dim : profile.attention.head_dims) dim.forward /= factors.attention;
    profile.attention.memory_efficiency /= factors.attention;
  }
  profile.memory_bound.efficiency /= factors.memory_bound;
  profile.memory_bound.l2_bandwidth /= factors.memory_bound;
  return profile;
}

DeviceProfile load_profile(const Device& device, const DataFiles& files) {
  if (const auto node = files.find("profiles/" + device.id)) return read_profile(*node, device);
  DeviceProfile out;
  if (device.architecture == "cpu") {
    out = processor_roofline(device);
  } else if (auto kin = borrowed_profile(device, files)) {
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

DeviceProfile load_profile(const Cluster& cluster, const DataFiles& files) {
  DeviceProfile out = load_profile(cluster.device, files);
  if (cluster.devices() > 1 || out.alone == TimeFactors{}) return out;
  const TimeFactors factors = out.alone;
  return slowed(std::move(out), factors);
}

}  // namespace meshplan::profiles
