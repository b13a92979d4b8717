#include "planner/cost/compute/memory_bound.h"

#include <algorithm>

#include "planner/cost/compute/cache.h"

namespace meshplan::planner {
namespace {

/// How well a stream of bytes is known without having been measured.
constexpr double kSpread = 0.2;

}  // namespace

Estimate memory_bound_time(profiles::Bytes moved, const profiles::DeviceProfile& profile) {
  const profiles::MemoryBoundConstants& c = profile.memory_bound;
  const double bytes = static_cast<double>(moved.count);
  const double bandwidth = profile.device.memory_bandwidth.rate;
  const double hot =
      bytes * held_share(bytes, c.l2_share * static_cast<double>(profile.device.l2_cache.count));
  const double seconds = (bytes - hot) / (c.efficiency * bandwidth) +
                         hot / (std::max(c.efficiency, c.l2_bandwidth) * bandwidth);
  const double floor = memory_floor_seconds(bytes, profile.device);
  return {profiles::Seconds{std::max(c.launch.count() + seconds, floor)}, kSpread,
          Provenance::Extrapolated};
}

}  // namespace meshplan::planner
