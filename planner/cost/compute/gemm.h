#pragma once
#include <array>
#include <cstdint>

#include "planner/cost/compute/clocks.h"
#include "planner/cost/estimate.h"
#include "profiles/data_type.h"
#include "profiles/device_profile.h"

namespace meshplan::planner {

/// C[m,n] = A[m,k] B[k,n], `batch` of them in one launch. A = activations, B = weights.
struct GemmShape {
  std::int64_t m = 1, n = 1, k = 1;
  int batch = 1;
};

/// Outside what was measured, the spread is this many times as wide.
inline constexpr double kExtrapolatedSpread = 1.5;

/// Time of one GEMM alone on the device.
///
///   t = launch + (compute^p + memory^p)^(1/p) + merge, the best over tiles and splits of k
///
/// compute = waves of tiles over the multiprocessors, each tile k long at its share of peak;
/// memory  = operands and result once, from L2 as far as it holds them, A or B again for every
///           strip of C where neither fits L2; merge = second pass over partial sums; p = overlap.
/// Where the device was measured, times the residual of the tables at this shape.
///
/// Clocks::Locked is how the tables were taken; Clocks::Sustained slows the tensor cores by the
/// profile's sustained_clock_factor.
/// Never less than gemm_floor: the search's lower bound relies on that.
Estimate gemm_time(const GemmShape& shape, profiles::DataType type,
                   const profiles::DeviceProfile& profile, Clocks clocks = Clocks::Locked);

/// What no GEMM of this shape can beat: FLOPs over peak; bytes beyond L2 over memory bandwidth.
profiles::Seconds gemm_floor(const GemmShape& shape, profiles::DataType type,
                             const profiles::DeviceProfile& profile,
                             Clocks clocks = Clocks::Locked);

/// The formula alone, in seconds, without residual and floor: what planner/fit fits.
double gemm_model_seconds(const GemmShape& shape, profiles::DataType type,
                          const profiles::DeviceProfile& profile, Clocks clocks = Clocks::Locked);
/// Where the residual grid of GemmConstants holds a shape. A batch is as much work as one product
/// of so many times the rows.
std::array<double, 3> gemm_grid_place(const GemmShape& shape);

}  // namespace meshplan::planner
