#pragma once
#include "profiles/data_type.h"
#include "profiles/device_profile.h"

namespace meshplan::planner {

/// How a matrix product in one data type runs on a device.
struct Precision {
  profiles::FlopsPerSecond peak;
  double efficiency = 1;    ///< of that peak, relative to what bf16 reaches of its own
  double bytes = 2;         ///< of one element of A and B
  double result_bytes = 2;  ///< of one element of C
};

Precision precision_of(profiles::DataType type, const profiles::DeviceProfile& profile);

}  // namespace meshplan::planner
