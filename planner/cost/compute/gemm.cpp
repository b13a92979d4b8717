#include "planner/cost/compute/gemm.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "planner/cost/compute/precision.h"

namespace meshplan::planner {
namespace {

using profiles::DeviceProfile;
using profiles::GemmConstants;
using profiles::GemmTile;

/// What does not depend on tile and split.
struct Machine {
  double multiprocessors;
  double multiprocessor_flops;  ///< of one multiprocessor, per second
  double bandwidth;             ///< data sheet, bytes per second
};

double ceil_div(double a, double b) { return std::ceil(a / b); }

/// `tiles` over the multiprocessors, counted in waves; the last, partly filled wave costs between
/// its share (quantisation 0) and a full wave (1).
double waves(double tiles, double slots, double quantisation) {
  const double exact = tiles / slots;
  if (exact <= 1) return 1;
  return exact + quantisation * (std::ceil(exact) - exact);
}

/// Seconds on the tensor cores with `tile` and k cut in `split` parts.
double compute_seconds(const GemmShape& s, const GemmTile& tile, double split, double tile_blocks,
                       const GemmConstants& c, const Machine& machine) {
  const double k = ceil_div(static_cast<double>(s.k), split);
  const double main_loop =
      2.0 * tile.rows * tile.columns * k / (machine.multiprocessor_flops * tile.efficiency);
  return waves(tile_blocks * split, machine.multiprocessors, c.quantisation) *
         (main_loop + c.tile_overhead.count());
}

}  // namespace

double gemm_model_seconds(const GemmShape& s, profiles::DataType type, const DeviceProfile& profile,
                          Clocks clocks) {
  const GemmConstants& c = profile.gemm;
  const Precision precision = precision_of(type, profile);
  const Machine machine{static_cast<double>(profile.device.multiprocessors),
                        precision.peak.rate * precision.efficiency * clock_factor(clocks, profile) /
                            profile.device.multiprocessors,
                        profile.device.memory_bandwidth.rate};
  const double m = static_cast<double>(s.m), n = static_cast<double>(s.n),
               k = static_cast<double>(s.k), batch = s.batch;
  const double operands = batch * precision.bytes * (m * k + k * n);
  const double result = batch * precision.result_bytes * m * n;
  const double l2 = static_cast<double>(profile.device.l2_cache.count) * c.l2_share;
  const double memory_rate = machine.bandwidth * c.memory_efficiency;
  double best = INFINITY;
  for (const GemmTile& tile : c.tiles) {
    const double blocks = batch * ceil_div(m, tile.rows) * ceil_div(n, tile.columns);
    for (double split = 1; split <= 64; split *= 2) {
      if (split > 1 && (k / split < 64 || blocks * split > 2 * machine.multiprocessors)) break;
      const double compute = compute_seconds(s, tile, split, blocks, c, machine);
      const double partial_sums = split > 1 ? 8.0 * batch * m * n * split : 0;
      const double bytes = operands + result + partial_sums;
      const double streams = std::min(blocks * split, machine.multiprocessors);
      const double stream_rate =
          streams * c.block_bandwidth * machine.bandwidth / machine.multiprocessors;
      const double from_memory = std::max(0.0, bytes - l2) / std::min(memory_rate, stream_rate);
      const double from_l2 =
          std::min(bytes, l2) / std::min(machine.bandwidth * c.l2_bandwidth, stream_rate);
      const double memory = from_memory + from_l2;
      const double time =
          std::pow(std::pow(compute, c.overlap) + std::pow(memory, c.overlap), 1 / c.overlap) +
          (split > 1 ? c.split_overhead.count() : 0);
      best = std::min(best, time);
    }
  }
  return c.launch.count() + best;
}

Estimate gemm_time(const GemmShape& s, profiles::DataType type, const DeviceProfile& profile,
                   Clocks clocks) {
  const GemmConstants& c = profile.gemm;
  double seconds = gemm_model_seconds(s, type, profile, clocks);
  bool inside = false;
  if (!c.residual.empty()) {
    const std::array<double, 3> at{static_cast<double>(s.m) * s.batch, static_cast<double>(s.n),
                                   static_cast<double>(s.k)};
    const auto found = c.residual.at(at);
    seconds *= std::exp(found.value);
    inside = found.inside;
  }
  const double flops = 2.0 * s.batch * static_cast<double>(s.m) * static_cast<double>(s.n) *
                       static_cast<double>(s.k);
  const double floor = flops / profile.device.peak_at(type).rate / clock_factor(clocks, profile);
  const bool known = profile.fitted && inside && type == profiles::DataType::Bf16;
  return {profiles::Seconds{std::max(seconds, floor)}, known ? c.spread : 2 * c.spread,
          known ? Provenance::Interpolated : Provenance::Extrapolated};
}

}  // namespace meshplan::planner
