#include "planner/cost/compute/memory_bound.h"

namespace meshplan::planner {

Estimate memory_bound_time(profiles::Bytes moved, const profiles::DeviceProfile& profile) {
  const profiles::MemoryBoundConstants& c = profile.memory_bound;
  return {c.launch + moved / (c.efficiency * profile.device.memory_bandwidth), 0.2,
          Provenance::Extrapolated};
}

}  // namespace meshplan::planner
