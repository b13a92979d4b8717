#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "profiles/data_type.h"
#include "profiles/units.h"

namespace meshplan::profiles {

/// Facts of one kind of GPU (or host), from its data sheet. What was measured on it is a
/// DeviceProfile. Read from profiles/data/devices/<id>.json, schema meshplan.device/1.
struct Device {
  std::string id;              ///< "h100-sxm-80gb"
  std::string architecture;    ///< "volta", "ampere", "ada", "hopper", "blackwell", "cpu"
  int compute_capability = 0;  ///< 70, 80, 86, 89, 90, 100, 120; 0 for a CPU
  /// Dense peak by data type, index = DataType; none where the device lacks the format.
  std::array<std::optional<FlopsPerSecond>, 6> peak;
  Bytes memory;                     ///< what a program can use of it at most
  BytesPerSecond memory_bandwidth;  ///< of HBM or GDDR, data sheet
  Bytes l2_cache;
  int multiprocessors = 0;                      ///< SMs, or cores of a CPU
  int nvlinks = 0;                              ///< 0: none
  BytesPerSecond nvlink_bandwidth{};            ///< of one NVLink, one direction
  BytesPerSecond pcie_bandwidth{};              ///< one direction
  std::optional<BytesPerSecond> c2c_bandwidth;  ///< NVLink-C2C to the host's memory, one direction
  std::string usual_cluster;  ///< cluster preset whose figures stand in for unstated ones
  std::optional<double> dollars_per_hour;
  std::string source;  ///< where the facts were read

  /// The peak in `type`, or in the nearest wider format that the device has (bf16 on Volta: fp32).
  [[nodiscard]] FlopsPerSecond peak_at(DataType type) const;
};

}  // namespace meshplan::profiles
