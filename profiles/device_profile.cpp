#include "profiles/device_profile.h"

namespace meshplan::profiles {
namespace {

/// Tiles as GPU libraries offer them; efficiencies are refined by fitting.
std::vector<GemmTile> usual_tiles() {
  return {{256, 128, 0.90}, {128, 256, 0.90}, {128, 128, 0.85}, {64, 256, 0.75}, {256, 64, 0.75},
          {64, 128, 0.70},  {128, 64, 0.70},  {64, 64, 0.55},   {16, 64, 0.15}};
}

}  // namespace

DeviceProfile load_profile(const Device& device, const DataFiles& /*files*/) {
  DeviceProfile out;
  out.device = device;
  out.name = device.id;
  out.provenance = "data sheet only";
  out.gemm.tiles = usual_tiles();
  out.attention.head_dims = {{64, 0.5}, {128, 0.65}, {256, 0.7}};
  return out;
}

}  // namespace meshplan::profiles
