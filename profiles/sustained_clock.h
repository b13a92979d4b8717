#pragma once
#include <string>

namespace meshplan::profiles {

/// Tensor-core speed that a device keeps up under its power cap, over its speed at locked maximum
/// clocks in bursts, and why.
struct SustainedClock {
  double factor;
  std::string cause;
};

/// Of the device with this id; of one that is not in the table, a cautious default that says so.
SustainedClock sustained_clock(const std::string& device_id);

}  // namespace meshplan::profiles
