#include "planner/cost/compute/unfused_attention.h"

#include <algorithm>

#include "planner/cost/compute/gemm.h"
#include "planner/cost/compute/memory_bound.h"

namespace meshplan::planner {

Estimate unfused_attention_time(const AttentionShape& s, AttentionPass pass,
                                profiles::DataType type, const profiles::DeviceProfile& profile,
                                Clocks clocks) {
  const std::int64_t matrices = s.batch * s.heads;
  const int batch = static_cast<int>(std::min<std::int64_t>(matrices, INT32_MAX));
  const Estimate scores =
      gemm_time({s.query_len, s.kv_len, s.head_dim, batch}, type, profile, clocks);
  const Estimate context =
      gemm_time({s.query_len, s.value_head_dim, s.kv_len, batch}, type, profile, clocks);
  const profiles::Bytes square = profiles::storage(matrices * s.query_len * s.kv_len, type);
  const bool backward = pass == AttentionPass::Backward;
  const Estimate softmax = memory_bound_time((backward ? 3 : 2) * square, profile);
  return {(backward ? 2.0 : 1.0) * (scores.time + context.time) + softmax.time,
          std::max({scores.spread, context.spread, softmax.spread}), Provenance::Extrapolated};
}

}  // namespace meshplan::planner
