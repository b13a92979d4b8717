#pragma once
#include "kernels/attention.h"
#include "kernels/cpu/kernels.h"

namespace meshplan::kernels::cpu {

/// Whether keys and values are read row by row of the cache, each once, by all heads together: one
/// query a sequence, and few enough queries a key head that memory is what bounds them. GEMMs would
/// read each head for itself, in pieces of head_dim.
constexpr bool decodes(const AttentionShape& shape) {
  constexpr std::int64_t kMostQueries = 16;
  return shape.query_len == 1 && shape.heads / shape.kv_heads <= kMostQueries;
}

void decode_attention(const AttentionForward& op, Queue& queue);

}  // namespace meshplan::kernels::cpu
