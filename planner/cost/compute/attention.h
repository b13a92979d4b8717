#pragma once
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
  Flash,    ///< one fused kernel, scores never leave the chip
  Unfused,  ///< two batched GEMMs and passes over the scores between them
};

enum class AttentionPass { Forward, Backward };

/// Time of the core attention, without projections. A forward of one query per sequence is decode:
/// bound by reading the cache of keys and values.
Estimate attention_time(const AttentionShape& shape, AttentionPass pass, AttentionKernel kernel,
                        profiles::DataType type, const profiles::DeviceProfile& profile,
                        Clocks clocks = Clocks::Locked);

/// The formulas alone, without residual and floor: what planner/fit fits.
double prefill_model_seconds(const AttentionShape& shape, profiles::DataType type,
                             const profiles::DeviceProfile& profile,
                             Clocks clocks = Clocks::Locked);
double decode_model_seconds(const AttentionShape& shape, profiles::DataType type,
                            const profiles::DeviceProfile& profile);

}  // namespace meshplan::planner
