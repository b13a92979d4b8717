#pragma once
#include <optional>
#include <string>

#include "profiles/data_files.h"
#include "profiles/json_node.h"

namespace meshplan::profiles {

/// Clocks of a device's multiprocessors, in hertz.
struct DeviceClocks {
  double peak;     ///< at which the data sheet states its peaks
  double maximum;  ///< the highest that the device runs at: where tables of kernels are taken
  /// That large products hold in the bursts of such tables, where the power cap keeps it lower.
  std::optional<double> loaded;
};

/// The keys peak_clock_hertz, maximum_clock_hertz and loaded_clock_hertz of a device's document;
/// none where either of the first two is not published.
std::optional<DeviceClocks> read_clocks(const JsonNode& device);
/// Those of the device's file; none without a file.
std::optional<DeviceClocks> device_clocks(const std::string& id, const DataFiles& files);

}  // namespace meshplan::profiles
