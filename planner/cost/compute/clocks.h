#pragma once
#include "profiles/device_profile.h"

namespace meshplan::planner {

/// At which clocks a tensor-core kernel runs.
enum class Clocks {
  Locked,     ///< maximum clocks, short bursts: how the tables were taken
  Sustained,  ///< under the power cap: seconds of dense work, as in training
};

/// What tensor-core time at `clocks` is divided by: 1 or the profile's sustained_clock_factor.
inline double clock_factor(Clocks clocks, const profiles::DeviceProfile& profile) {
  return clocks == Clocks::Locked ? 1.0 : profile.sustained_clock_factor;
}

}  // namespace meshplan::planner
