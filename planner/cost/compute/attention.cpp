#include "planner/cost/compute/attention.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "planner/cost/compute/gemm.h"
#include "planner/cost/compute/memory_bound.h"
#include "planner/cost/compute/precision.h"

namespace meshplan::planner {
namespace {

using profiles::AttentionConstants;
using profiles::DecodeConstants;
using profiles::DeviceProfile;
using profiles::HeadDimEfficiency;

/// Rows of queries that one thread block of the fused kernels holds, and keys it visits at a time.
constexpr double kQueryTile = 128, kKeyTile = 128;

/// Backward recomputes the scores and makes four products where forward makes two.
/// Source: Dao et al., FlashAttention, NeurIPS 2022; FlashAttention-2, 2023, section 3.
constexpr double kBackwardFlops = 2.5;

/// Pairs of query and key that are computed, by whole tiles.
double score_pairs(const AttentionShape& s) {
  const double q = static_cast<double>(s.query_len), kv = static_cast<double>(s.kv_len);
  if (!s.causal) return q * kv;
  const double first = std::max(0.0, kv - q);  // keys before the first query
  return q * first + std::min(q, kv) * (std::min(q, kv) + 1) / 2;
}

double computed_pairs(const AttentionShape& s) {
  const double q = static_cast<double>(s.query_len), kv = static_cast<double>(s.kv_len);
  const double rows = std::ceil(q / kQueryTile), columns = std::ceil(kv / kKeyTile);
  const double tile = kQueryTile * kKeyTile;
  if (!s.causal) return rows * columns * tile;
  const double before = std::max(0.0, columns - rows);
  return (rows * before + rows * (rows + 1) / 2) * tile;
}

double forward_efficiency(const AttentionConstants& c, int head_dim) {
  if (c.head_dims.empty()) return 0.5;
  const auto above = std::find_if(c.head_dims.begin(), c.head_dims.end(),
                                  [&](const auto& e) { return e.head_dim >= head_dim; });
  if (above == c.head_dims.end()) return c.head_dims.back().forward;
  if (above == c.head_dims.begin() || above->head_dim == head_dim) return above->forward;
  const HeadDimEfficiency& below = *(above - 1);
  const double share = std::log(static_cast<double>(head_dim) / below.head_dim) /
                       std::log(static_cast<double>(above->head_dim) / below.head_dim);
  return below.forward + share * (above->forward - below.forward);
}

double flash_seconds(const AttentionShape& s, AttentionPass pass, profiles::DataType type,
                     const DeviceProfile& profile, Clocks clocks) {
  const AttentionConstants& c = profile.attention;
  const Precision precision = precision_of(type, profile);
  const bool backward = pass == AttentionPass::Backward;
  const double sms = profile.device.multiprocessors;
  const double mean_dim = 0.5 * (s.head_dim + s.value_head_dim);
  const double rate = precision.peak.rate * precision.efficiency * clock_factor(clocks, profile) *
                      forward_efficiency(c, s.head_dim) * (backward ? c.backward_efficiency : 1.0);
  const double streams = static_cast<double>(s.batch) * s.heads;
  const double blocks = streams * std::ceil(static_cast<double>(s.query_len) / kQueryTile);
  const double pairs = computed_pairs(s);
  const double flops = (backward ? kBackwardFlops : 1.0) * streams * pairs * 4 * mean_dim;
  const double exact = blocks / sms;
  const double waves = exact <= 1 ? 1 : exact + c.quantisation * (std::ceil(exact) - exact);
  const double per_block = flops / blocks / (rate / sms) + c.block_overhead.count();
  const double q = static_cast<double>(s.batch) * static_cast<double>(s.query_len) * s.heads;
  const double kv = static_cast<double>(s.batch) * static_cast<double>(s.kv_len) * s.kv_heads;
  const double once = precision.result_bytes * (q + kv) * (s.head_dim + s.value_head_dim);
  // Backward reads q, k, v, o and dO, writes dQ (accumulated in fp32), dK, dV.
  const double moved = backward ? 3 * once : once;
  const double memory = moved / (c.memory_efficiency * profile.device.memory_bandwidth.rate);
  return c.launch.count() + std::max(waves * per_block, memory);
}

}  // namespace

double prefill_model_seconds(const AttentionShape& s, profiles::DataType type,
                             const DeviceProfile& profile, Clocks clocks) {
  return flash_seconds(s, AttentionPass::Forward, type, profile, clocks);
}

double decode_model_seconds(const AttentionShape& s, profiles::DataType type,
                            const DeviceProfile& profile) {
  const DecodeConstants& c = profile.decode;
  const Precision precision = precision_of(type, profile);
  const double bandwidth = profile.device.memory_bandwidth.rate;
  const double cache = precision.bytes * static_cast<double>(s.batch) * s.kv_heads *
                       static_cast<double>(s.kv_len) * (s.head_dim + s.value_head_dim);
  const double io = 2.0 * static_cast<double>(s.batch) * s.heads * (s.head_dim + s.value_head_dim);
  const double l2 = static_cast<double>(profile.device.l2_cache.count) * c.l2_share;
  const double bytes = cache + io;
  const double splits = std::ceil(static_cast<double>(s.kv_len) / 256.0);
  const double blocks = static_cast<double>(s.batch) * s.kv_heads * splits;
  const double stream_rate = std::min<double>(blocks, profile.device.multiprocessors) *
                             c.block_bandwidth * bandwidth / profile.device.multiprocessors;
  const double from_memory =
      std::max(0.0, bytes - l2) / std::min(c.memory_efficiency * bandwidth, stream_rate);
  const double from_l2 = std::min(bytes, l2) / std::min(c.l2_bandwidth * bandwidth, stream_rate);
  return c.launch.count() + from_memory + from_l2;
}

namespace {

Estimate flash_time(const AttentionShape& s, AttentionPass pass, profiles::DataType type,
                    const DeviceProfile& profile, Clocks clocks) {
  const bool decode = s.query_len == 1 && pass == AttentionPass::Forward;
  double seconds = decode ? decode_model_seconds(s, type, profile)
                          : flash_seconds(s, pass, type, profile, clocks);
  profiles::LogGrid::Lookup found;
  const profiles::LogGrid& grid = decode ? profile.decode.residual : profile.attention.residual;
  if (!grid.empty()) {
    if (decode) {
      const std::array<double, 4> at{
          static_cast<double>(s.batch) * s.kv_heads, static_cast<double>(s.kv_len),
          static_cast<double>(s.heads) / s.kv_heads, static_cast<double>(s.head_dim)};
      found = grid.at(at);
    } else {
      const std::array<double, 3> at{static_cast<double>(s.batch) * s.heads,
                                     static_cast<double>(s.query_len),
                                     static_cast<double>(s.head_dim)};
      found = grid.at(at);
    }
    seconds *= std::exp(found.value);
  }
  const double flops = (pass == AttentionPass::Backward ? kBackwardFlops : 1.0) *
                       static_cast<double>(s.batch) * s.heads * score_pairs(s) * 2 *
                       (s.head_dim + s.value_head_dim);
  const double floor = flops / profile.device.peak_at(type).rate / clock_factor(clocks, profile);
  const double spread = decode ? profile.decode.spread : profile.attention.spread;
  const bool known = profile.fitted && found.inside && pass == AttentionPass::Forward &&
                     type == profiles::DataType::Bf16;
  return {profiles::Seconds{std::max(seconds, floor)}, known ? spread : 2 * spread,
          known ? Provenance::Interpolated : Provenance::Extrapolated};
}

/// Scores = Q K^T, passes over them (scale and mask, softmax, dropout), context = P V. Libraries
/// without fusion compute the whole square, causal or not.
Estimate unfused_time(const AttentionShape& s, AttentionPass pass, profiles::DataType type,
                      const DeviceProfile& profile, Clocks clocks) {
  const int batch = static_cast<int>(s.batch) * s.heads;
  const GemmShape scores{s.query_len, s.kv_len, s.head_dim, batch};
  const GemmShape context{s.query_len, s.value_head_dim, s.kv_len, batch};
  Estimate out;
  const auto add = [&out](const Estimate& e, double times) {
    out.time += times * e.time;
    out.spread = std::max(out.spread, e.spread);
  };
  // Each gradient product has the FLOPs of its forward; there are two for each.
  const double times = pass == AttentionPass::Backward ? 2 : 1;
  add(gemm_time(scores, type, profile, clocks), times);
  add(gemm_time(context, type, profile, clocks), times);
  const profiles::Bytes matrix =
      static_cast<std::int64_t>(batch) * profiles::storage(s.query_len * s.kv_len, type);
  // Forward: masked softmax reads and writes; backward: reads dP and P, writes dS.
  const std::int64_t passes = pass == AttentionPass::Backward ? 3 : 2;
  add(memory_bound_time(passes * matrix, profile), 1);
  out.provenance = Provenance::Extrapolated;
  return out;
}

}  // namespace

Estimate attention_time(const AttentionShape& shape, AttentionPass pass, AttentionKernel kernel,
                        profiles::DataType type, const DeviceProfile& profile, Clocks clocks) {
  return kernel == AttentionKernel::Flash ? flash_time(shape, pass, type, profile, clocks)
                                          : unfused_time(shape, pass, type, profile, clocks);
}

}  // namespace meshplan::planner
