#include "profiles/device_clocks.h"

namespace meshplan::profiles {

std::optional<DeviceClocks> read_clocks(const JsonNode& device) {
  const auto peak = device.find_value("peak_clock_hertz");
  const auto maximum = device.find_value("maximum_clock_hertz");
  const auto loaded = device.find_value("loaded_clock_hertz");
  if (!peak || !maximum) return std::nullopt;
  DeviceClocks out{peak->positive_number(), maximum->positive_number(), std::nullopt};
  if (loaded) out.loaded = loaded->positive_number();
  return out;
}

std::optional<DeviceClocks> device_clocks(const std::string& id, const DataFiles& files) {
  const auto node = files.find("devices/" + id);
  return node ? read_clocks(*node) : std::nullopt;
}

}  // namespace meshplan::profiles
