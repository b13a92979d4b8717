#include "planner/cost/compute/gemm.h"

#include <algorithm>
#include <cmath>

#include "planner/cost/compute/cache.h"
#include "planner/cost/compute/overlap.h"
#include "planner/cost/compute/precision.h"
#include "planner/cost/compute/waves.h"

namespace meshplan::planner {
namespace {

using profiles::DeviceProfile;
using profiles::GemmConstants;
using profiles::GemmTile;

/// Weights that the tables cycle through, so that small ones come from L2 and large ones do not.
/// Source: AIConfigurator's collector times five products of one A, each with a B of its own.
constexpr double kWeightCopies = 5;

/// Bytes that do not depend on tile and split, by where they come from.
struct Operands {
  double cold;         ///< from memory
  double hot;          ///< from L2
  double result;       ///< to be written
  double result_held;  ///< share of the result that L2 takes in
};

Operands operands(const GemmShape& s, const Precision& precision, const DeviceProfile& profile) {
  const GemmConstants& c = profile.gemm;
  const double m = static_cast<double>(s.m), n = static_cast<double>(s.n),
               k = static_cast<double>(s.k), batch = s.batch;
  const double a = batch * precision.bytes * m * k, b = batch * precision.bytes * k * n;
  const double result = batch * precision.result_bytes * m * n;
  const double capacity = static_cast<double>(profile.device.l2_cache.count) * c.l2_share;
  // One operand stays with a strip of C, the other streams by once per strip; the cheaper order.
  const double a_again = a * std::max(0.0, n / c.raster_width - 1) * (1 - held_share(a, capacity));
  const double b_again = b * std::max(0.0, m / c.raster_width - 1) * (1 - held_share(b, capacity));
  const double held_a = held_share(a + b + result, capacity);
  const double held_b = held_share(a + kWeightCopies * b + result, capacity);
  return {.cold = std::min(a_again, b_again) + a * (1 - held_a) + b * (1 - held_b),
          .hot = a * held_a + b * held_b,
          .result = result,
          .result_held = held_a};
}

}  // namespace

double gemm_model_seconds(const GemmShape& s, profiles::DataType type, const DeviceProfile& profile,
                          Clocks clocks) {
  const GemmConstants& c = profile.gemm;
  const Precision precision = precision_of(type, profile);
  const double multiprocessors = profile.device.multiprocessors;
  const double flops_each =
      precision.peak.rate * precision.efficiency * clock_factor(clocks, profile) / multiprocessors;
  const double bandwidth = profile.device.memory_bandwidth.rate;
  const double block_bandwidth = c.block_bandwidth * bandwidth / multiprocessors;
  const Operands bytes = operands(s, precision, profile);
  const double m = static_cast<double>(s.m), n = static_cast<double>(s.n),
               k = static_cast<double>(s.k), batch = s.batch;

  double best = INFINITY;
  for (const GemmTile& tile : c.tiles) {
    const double blocks = batch * std::ceil(m / tile.rows) * std::ceil(n / tile.columns);
    const double area = static_cast<double>(tile.rows) * tile.columns;
    const double overhead = c.tile_overhead.count() + c.area_overhead.count() * area / (128 * 128);
    for (double split = 1; split <= 64; split *= 2) {
      if (split > 1 && (k / split < 64 || blocks * split > 2 * multiprocessors)) break;
      const double main_loop = 2 * area * std::ceil(k / split) / (flops_each * tile.efficiency);
      const double compute =
          waves(blocks * split, multiprocessors, c.quantisation) * (main_loop + overhead);
      // Partial sums are written and read once more, in fp32.
      const double partial_sums = split > 1 ? 8 * batch * m * n * split : 0;
      const double stored = (bytes.result + partial_sums) / c.store_efficiency;
      const double streams = std::min(blocks * split, multiprocessors) * block_bandwidth;
      const double memory =
          (bytes.cold + stored * (1 - bytes.result_held)) /
              std::min(c.memory_efficiency * bandwidth, streams) +
          (bytes.hot + stored * bytes.result_held) / std::min(c.l2_bandwidth * bandwidth, streams);
      const double merge = split > 1 ? c.split_overhead.count() : 0;
      // The longer of the two is a bound, and saves the powers for all but a few.
      if (std::max(compute, memory) + merge >= best) continue;
      best = std::min(best, overlapped(compute, memory, c.overlap) + merge);
    }
  }
  const bool vector = s.m == 1 || s.n == 1;
  return (vector ? c.vector_launch : c.launch).count() + best;
}

profiles::Seconds gemm_floor(const GemmShape& s, profiles::DataType type,
                             const DeviceProfile& profile, Clocks clocks) {
  const double m = static_cast<double>(s.m), n = static_cast<double>(s.n),
               k = static_cast<double>(s.k);
  const Precision precision = precision_of(type, profile);
  const double compute =
      2 * s.batch * m * n * k / (precision.peak.rate * clock_factor(clocks, profile));
  const double bytes =
      s.batch * (precision.bytes * (m * k + k * n) + precision.result_bytes * m * n);
  return profiles::Seconds{std::max(compute, memory_floor_seconds(bytes, profile.device))};
}

std::array<double, 3> gemm_grid_place(const GemmShape& s) {
  return {static_cast<double>(s.m) * s.batch, static_cast<double>(s.n), static_cast<double>(s.k)};
}

Estimate gemm_time(const GemmShape& s, profiles::DataType type, const DeviceProfile& profile,
                   Clocks clocks) {
  const GemmConstants& c = profile.gemm;
  const auto found = c.residual.at(gemm_grid_place(s));
  const profiles::Seconds time{gemm_model_seconds(s, type, profile, clocks) *
                               std::exp(found.value)};
  const bool known =
      profile.fitted && found.inside && s.batch == 1 && type == profiles::DataType::Bf16;
  return {std::max(time, gemm_floor(s, type, profile, clocks)),
          known ? c.record.spread : kExtrapolatedSpread * c.record.spread,
          known ? Provenance::Interpolated : Provenance::Extrapolated};
}

}  // namespace meshplan::planner
