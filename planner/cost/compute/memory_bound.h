#pragma once
#include "planner/cost/estimate.h"
#include "profiles/device_profile.h"

namespace meshplan::planner {

/// Time of one kernel that moves `moved` bytes (reads plus writes) and computes next to nothing:
/// elementwise work, norms, softmax, the optimizer.
///
///   t = launch + moved / rate
///
/// rate = efficiency × memory bandwidth, or L2's as far as L2 still holds what the kernel before
/// wrote. No table measures such kernels: always Extrapolated.
Estimate memory_bound_time(profiles::Bytes moved, const profiles::DeviceProfile& profile);

}  // namespace meshplan::planner
