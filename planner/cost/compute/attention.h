#pragma once
#include <array>
#include <cstdint>

#include "planner/cost/compute/clocks.h"
#include "planner/cost/estimate.h"
#include "profiles/data_type.h"
#include "profiles/device_profile.h"

namespace meshplan::planner {

/// softmax(Q K^T) V for `heads` heads of queries over `kv_heads` heads of keys and values.
struct AttentionShape {
  std::int64_t batch = 1, query_len = 1, kv_len = 1;
  int heads = 1, kv_heads = 1, head_dim = 128, value_head_dim = 128;
  bool causal = true;  ///< query i sees the keys up to kv_len - query_len + i
};

enum class AttentionKernel {
  Flash,    ///< the fused kernel made for the device; scores never leave the chip
  Flash2,   ///< FlashAttention-2: the same up to compute capability 89, slower on Hopper and later
  Unfused,  ///< two batched GEMMs and passes over the scores between them
};

enum class AttentionPass { Forward, Backward };

/// Time of the core attention, without projections, alone on the device.
///
/// Fused: launch + (throughput^p + longest^p + memory^p)^(1/p) + overhead of its blocks
///   throughput = FLOPs of the score tiles that the mask leaves, at the efficiency of this head
///                dimension; longest = the tile of queries that sees all keys, alone on one
///                multiprocessor; memory = Q, K, V, output once.
/// One query per sequence, forward: decode, bound by reading the cache of keys and values (from L2
/// as far as it holds them), split over the multiprocessors along the keys.
/// Times the residual of the tables at this shape, where the device was measured. Backward was
/// not: 2.5 × the FLOPs at the profile's backward_efficiency, always Extrapolated.
/// Unfused: see unfused_attention.h. Never less than FLOPs over peak.
Estimate attention_time(const AttentionShape& shape, AttentionPass pass, AttentionKernel kernel,
                        profiles::DataType type, const profiles::DeviceProfile& profile,
                        Clocks clocks = Clocks::Locked);

/// What drawing the dropped probabilities adds to a pass of the fused kernel: the pairs that the
/// mask leaves, at the profile's time for one. 0 where that was not measured.
profiles::Seconds attention_dropout_time(const AttentionShape& shape,
                                         const profiles::DeviceProfile& profile);

/// What no kernel can beat: FLOPs of the scores that the mask leaves over peak; bytes of Q, K, V
/// and output beyond L2 over memory bandwidth.
profiles::Seconds attention_floor(const AttentionShape& shape, AttentionPass pass,
                                  profiles::DataType type, const profiles::DeviceProfile& profile,
                                  Clocks clocks = Clocks::Locked);

/// The formulas alone, in seconds, without residual and floor: what planner/fit fits.
double flash_model_seconds(const AttentionShape& shape, AttentionPass pass, profiles::DataType type,
                           const profiles::DeviceProfile& profile, Clocks clocks = Clocks::Locked);
double decode_model_seconds(const AttentionShape& shape, profiles::DataType type,
                            const profiles::DeviceProfile& profile);
/// Where the residual grids of AttentionConstants and DecodeConstants hold a shape.
std::array<double, 4> flash_grid_place(const AttentionShape& shape);
std::array<double, 5> decode_grid_place(const AttentionShape& shape);

}  // namespace meshplan::planner
