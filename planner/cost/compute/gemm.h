#pragma once
#include <cstdint>

#include "planner/cost/compute/clocks.h"
#include "planner/cost/estimate.h"
#include "profiles/data_type.h"
#include "profiles/device_profile.h"

namespace meshplan::planner {

/// C[m,n] = A[m,k] B[k,n], `batch` of them in one launch.
struct GemmShape {
  std::int64_t m = 1, n = 1, k = 1;
  int batch = 1;
};

/// Time of one GEMM alone on the device.
///
///   t = launch + (compute^p + memory^p)^(1/p), the best over tiles and splits of k
///
/// compute = waves of tiles over the multiprocessors, each tile at its share of peak;
/// memory = operands and result once, from L2 as far as it holds them; p = overlap.
/// Where the device was measured, times the residual of the table at this shape.
/// Never less than FLOPs over peak; the search's lower bound relies on that.
Estimate gemm_time(const GemmShape& shape, profiles::DataType type,
                   const profiles::DeviceProfile& profile, Clocks clocks = Clocks::Locked);

/// The formula alone, without residual and floor: what planner/fit fits.
double gemm_model_seconds(const GemmShape& shape, profiles::DataType type,
                          const profiles::DeviceProfile& profile, Clocks clocks = Clocks::Locked);

}  // namespace meshplan::planner
