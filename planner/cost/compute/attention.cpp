#include "planner/cost/compute/attention.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "planner/cost/compute/cache.h"
#include "planner/cost/compute/gemm.h"
#include "planner/cost/compute/overlap.h"
#include "planner/cost/compute/precision.h"
#include "planner/cost/compute/unfused_attention.h"
#include "planner/cost/compute/waves.h"

namespace meshplan::planner {
namespace {

using profiles::AttentionConstants;
using profiles::DecodeConstants;
using profiles::DeviceProfile;
using profiles::HeadDimEfficiency;

/// Keys that the fused kernels visit at a time; masked tiles are skipped, not masked elements.
constexpr double kKeyTile = 128;

/// Bytes of keys per token with which the kernel that prepares them is fully busy. Seen in the
/// tables of Ampere, Hopper and Blackwell: its time grows with the keys up to 4 heads of 128 or 8
/// of 64, and hardly beyond.
constexpr double kWideKeys = 1024;

/// Backward rebuilds the scores and makes four products more, where forward makes two.
/// Source: Dao, FlashAttention-2, 2023, section 3.2 (five products against two).
constexpr double kBackwardFlops = 2.5;

/// Speed of FlashAttention-2 on Hopper over that of kernels made for it, forward and backward, long
/// causal sequences, head dimension 128.
/// Source: Shah et al., FlashAttention-3, 2024, figures 5 and 6 (e.g. 322 of 561 TFLOP/s).
constexpr double kFlash2OnHopper = 0.6;

/// Pairs of query and key that the mask leaves.
double score_pairs(const AttentionShape& s) {
  const double q = static_cast<double>(s.query_len), kv = static_cast<double>(s.kv_len);
  if (!s.causal) return q * kv;
  // The last row sees kv keys, each row before it one fewer, none less than nothing.
  const double rows = std::min(q, kv);
  return rows * kv - rows * (rows - 1) / 2;
}

/// The same by whole tiles of queries and keys.
double computed_pairs(const AttentionShape& s, double query_tile) {
  const double q = static_cast<double>(s.query_len), kv = static_cast<double>(s.kv_len);
  const double tile_keys = std::ceil(kv / kKeyTile) * kKeyTile;
  const double tile_queries = std::ceil(q / query_tile) * query_tile;
  if (!s.causal) return tile_queries * tile_keys;
  // Tile i of queries sees the keys before its first query, and half of its own square more.
  const double before = std::max(0.0, kv - q);
  const double triangle = tile_queries * (tile_queries + query_tile) / 2;
  return std::min(tile_queries * tile_keys, tile_queries * before + triangle);
}

double forward_efficiency(const AttentionConstants& c, int head_dim) {
  const auto above = std::find_if(c.head_dims.begin(), c.head_dims.end(),
                                  [&](const auto& e) { return e.head_dim >= head_dim; });
  if (above == c.head_dims.end()) return c.head_dims.back().forward;
  if (above == c.head_dims.begin() || above->head_dim == head_dim) return above->forward;
  const HeadDimEfficiency& below = *(above - 1);
  const double share = std::log(static_cast<double>(head_dim) / below.head_dim) /
                       std::log(static_cast<double>(above->head_dim) / below.head_dim);
  return below.forward + share * (above->forward - below.forward);
}

double query_elements(const AttentionShape& s) {
  return static_cast<double>(s.batch) * static_cast<double>(s.query_len) * s.heads *
         (s.head_dim + s.value_head_dim);
}

double cache_elements(const AttentionShape& s) {
  return static_cast<double>(s.batch) * static_cast<double>(s.kv_len) * s.kv_heads *
         (s.head_dim + s.value_head_dim);
}

bool is_decode(const AttentionShape& s, AttentionPass pass) {
  return s.query_len == 1 && pass == AttentionPass::Forward;
}

/// Passes over Q, K, V and output that do not overlap with the scores.
double memory_seconds(const AttentionShape& s, bool backward, const Precision& precision,
                      const DeviceProfile& profile) {
  const AttentionConstants& c = profile.attention;
  // Forward: rotated and written to the cache, then read. Backward reads Q, K, V, O and dO and
  // writes dQ (accumulated in fp32), dK and dV.
  const double passes = backward ? 3 : 2;
  const double moved = passes * precision.result_bytes * (query_elements(s) + cache_elements(s));
  const double width = std::min(1.0, precision.result_bytes * s.kv_heads * s.head_dim / kWideKeys);
  const double tokens =
      backward ? 0 : static_cast<double>(s.batch) * static_cast<double>(s.query_len);
  return moved / (c.memory_efficiency * profile.device.memory_bandwidth.rate) +
         tokens * width * c.token.count();
}

Estimate flash_time(const AttentionShape& s, AttentionPass pass, profiles::DataType type,
                    const DeviceProfile& profile, Clocks clocks) {
  const bool decode = is_decode(s, pass);
  const auto found = decode ? profile.decode.residual.at(decode_grid_place(s))
                            : profile.attention.residual.at(flash_grid_place(s));
  const double model = decode ? decode_model_seconds(s, type, profile)
                              : flash_model_seconds(s, pass, type, profile, clocks);
  const double spread = (decode ? profile.decode.record : profile.attention.record).spread;
  const bool square = s.causal && s.query_len == s.kv_len;
  const bool known = profile.fitted && found.inside && pass == AttentionPass::Forward &&
                     (decode || square) && s.head_dim == s.value_head_dim &&
                     type == profiles::DataType::Bf16;
  return {profiles::Seconds{model * std::exp(found.value)},
          known ? spread : kExtrapolatedSpread * spread,
          known ? Provenance::Interpolated : Provenance::Extrapolated};
}

}  // namespace

double flash_model_seconds(const AttentionShape& s, AttentionPass pass, profiles::DataType type,
                           const DeviceProfile& profile, Clocks clocks) {
  const AttentionConstants& c = profile.attention;
  const Precision precision = precision_of(type, profile);
  const bool backward = pass == AttentionPass::Backward;
  const double multiprocessors = profile.device.multiprocessors;
  const double rate = precision.peak.rate * precision.efficiency * clock_factor(clocks, profile) *
                      forward_efficiency(c, s.head_dim) * (backward ? c.backward_efficiency : 1.0);
  const double flops_per_pair =
      (backward ? kBackwardFlops : 1.0) * 2 * (s.head_dim + s.value_head_dim);
  const double streams = static_cast<double>(s.batch) * s.heads;
  const double blocks = streams * std::ceil(static_cast<double>(s.query_len) / c.query_tile);
  const double rounds = waves(blocks, multiprocessors, c.quantisation);
  const double uneven = rounds / std::max(1.0, blocks / multiprocessors);
  const double throughput =
      streams * computed_pairs(s, c.query_tile) * flops_per_pair / rate * uneven;
  const double longest = c.query_tile * std::ceil(static_cast<double>(s.kv_len) / kKeyTile) *
                         kKeyTile * flops_per_pair / (rate / multiprocessors * c.block_rate);
  return c.launch.count() + memory_seconds(s, backward, precision, profile) +
         rounds * c.block_overhead.count() + overlapped(throughput, longest, c.overlap);
}

double decode_model_seconds(const AttentionShape& s, profiles::DataType type,
                            const DeviceProfile& profile) {
  const DecodeConstants& c = profile.decode;
  const Precision precision = precision_of(type, profile);
  const double multiprocessors = profile.device.multiprocessors;
  const double bandwidth = profile.device.memory_bandwidth.rate;
  const double cache = precision.bytes * cache_elements(s);
  const double bytes = cache + precision.result_bytes * query_elements(s);
  const double held =
      held_share(bytes, c.l2_share * static_cast<double>(profile.device.l2_cache.count));
  const double memory = bytes * (1 - held) / (c.memory_efficiency * bandwidth) +
                        bytes * held / (c.l2_bandwidth * bandwidth);

  const double streams = static_cast<double>(s.batch) * s.kv_heads;
  const double most = std::max(1.0, std::floor(static_cast<double>(s.kv_len) / c.split_tokens));
  const bool splits = s.heads >= c.least_split_group * s.kv_heads;
  const double parts = splits ? std::clamp(std::floor(multiprocessors / streams), 1.0, most) : 1.0;
  const double rounds = waves(streams * parts, multiprocessors, 0);
  const double block_seconds =
      c.block_overhead.count() +
      cache / (streams * parts) / (c.block_bandwidth * bandwidth / multiprocessors);
  return c.launch.count() + overlapped(rounds * block_seconds, memory, c.overlap) +
         (parts > 1 ? c.split_overhead.count() : 0);
}

std::array<double, 4> flash_grid_place(const AttentionShape& s) {
  return {static_cast<double>(s.batch) * s.heads, static_cast<double>(s.query_len),
          static_cast<double>(s.heads) / s.kv_heads, static_cast<double>(s.head_dim)};
}

std::array<double, 5> decode_grid_place(const AttentionShape& s) {
  return {static_cast<double>(s.batch), static_cast<double>(s.kv_heads),
          static_cast<double>(s.kv_len), static_cast<double>(s.heads) / s.kv_heads,
          static_cast<double>(s.head_dim)};
}

profiles::Seconds attention_dropout_time(const AttentionShape& s, const DeviceProfile& profile) {
  return static_cast<double>(s.batch) * s.heads * score_pairs(s) * profile.attention.dropout_pair;
}

profiles::Seconds attention_floor(const AttentionShape& s, AttentionPass pass,
                                  profiles::DataType type, const DeviceProfile& profile,
                                  Clocks clocks) {
  const Precision precision = precision_of(type, profile);
  const double flops = (pass == AttentionPass::Backward ? kBackwardFlops : 1.0) *
                       static_cast<double>(s.batch) * s.heads * score_pairs(s) * 2 *
                       (s.head_dim + s.value_head_dim);
  const double compute = flops / (precision.peak.rate * clock_factor(clocks, profile));
  const double bytes = precision.bytes * (query_elements(s) + cache_elements(s));
  return profiles::Seconds{std::max(compute, memory_floor_seconds(bytes, profile.device))};
}

Estimate attention_time(const AttentionShape& s, AttentionPass pass, AttentionKernel kernel,
                        profiles::DataType type, const DeviceProfile& profile, Clocks clocks) {
  Estimate out;
  if (kernel == AttentionKernel::Unfused) {
    out = unfused_attention_time(s, pass, type, profile, clocks);
  } else {
    out = flash_time(s, pass, type, profile, clocks);
    const bool slower = kernel == AttentionKernel::Flash2 && !is_decode(s, pass) &&
                        profile.device.compute_capability >= 90;
    if (slower) {
      out.time /= kFlash2OnHopper;
      out.provenance = Provenance::Extrapolated;
    }
  }
  // Unfused backward saves the scores, so it makes four products, not five.
  const bool rebuilds = kernel != AttentionKernel::Unfused || pass == AttentionPass::Forward;
  if (rebuilds) out.time = std::max(out.time, attention_floor(s, pass, type, profile, clocks));
  return out;
}

}  // namespace meshplan::planner
