#pragma once
#include <algorithm>
#include <span>

#include "kernels/dropout.h"
#include "kernels/tensor_view.h"

namespace meshplan::kernels {

/// What an attention sees, in training, prefill and decoding alike.
///
/// Query i of a sequence stands at position query_offset + i, key j at position j. Causal: key j is
/// seen iff j <= query_offset + i. Training: query_offset 0, kv_len = query_len. Decoding of one
/// token: query_len 1, query_offset = tokens before it, kv_len = query_offset + 1. A block of keys
/// further on (ring attention over context ranks) has query_offset < 0 relative to its first key.
/// GQA: query head h reads key head h / (heads / kv_heads).
struct AttentionShape {
  std::int64_t batch = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t query_len = 0;
  std::int64_t kv_len = 0;
  std::int64_t query_offset = 0;
  bool causal = true;
  float scale = 1.0F;  ///< of the scores; usually 1 / sqrt(head_dim)

  bool operator==(const AttentionShape&) const = default;
};

/// Dropout of the probabilities, as Dropout does it (dropout.h):
///   m[i,j] = keep ? 1 / (1 - probability) : 0
///   keep   = random_word(key, row(sequence, head, query), j) >= probability * 2^32
///
/// Sequence and head are those of the whole batch and the whole model, so that every layout drops
/// the same pairs; backward draws them again, no mask is stored.
struct AttentionDropout {
  float probability = 0.0F;  ///< 0: none; below 1
  RandomKey key{};
  std::int64_t first_sequence = 0;  ///< of the batch
  std::int64_t first_head = 0;      ///< of this rank's query heads
  std::int64_t model_heads = 0;     ///< query heads of the whole model; read where something drops

  [[nodiscard]] constexpr bool drops() const { return probability > 0.0F; }
  /// Row of the random matrix: of query head `head` of sequence `sequence`, both counted from the
  /// first of the operation, and the query at `position`, which is below 2^32.
  [[nodiscard]] constexpr std::uint64_t row(std::int64_t sequence, std::int64_t head,
                                            std::int64_t position) const {
    const std::int64_t whole = (first_sequence + sequence) * model_heads + first_head + head;
    return static_cast<std::uint64_t>(whole) << 32 | static_cast<std::uint64_t>(position);
  }
};

/// out[i] = sum_j m[i,j] p[i,j] v[j],  p[i,j] = exp(scale * q[i].k[j] - log_sum_exp[i])
/// log_sum_exp[i] = log sum_j exp(scale * q[i].k[j]), over the keys that i sees
///
/// q, out [batch * query_len, heads * head_dim]
/// k, v   [batch * kv_capacity, kv_heads * head_dim], kv_capacity = rows / batch >= kv_len: a
///        KV cache with room to grow is passed whole, the first kv_len rows of a sequence are read
/// log_sum_exp [batch * heads * query_len] F32: all that backward keeps of the scores
/// A query that sees no key yields out 0 and log_sum_exp -infinity.
///
/// Scores exist for a block of queries and keys at a time, never as a [query_len, kv_len] matrix.
/// m = 1 without dropout; log_sum_exp knows nothing of it. With dropout query_offset is at least 0.
/// Tolerance: 2e-5 * (1 + max |v|), over 1 - probability. Source: Dao et al., arXiv 2205.14135,
/// 2307.08691.
struct AttentionForward {
  AttentionShape shape;
  ConstTensorView q, k, v;
  TensorView out;
  std::span<float> log_sum_exp;
  AttentionDropout dropout{};
};

/// With p rebuilt from log_sum_exp, m drawn again, D[i] = out[i].dout[i], and
/// ds = p * (m * dout v^T - D):
///   dv = (m * p)^T dout,  dq = scale * ds k,  dk = scale * ds^T q
/// summed over the query heads that share a key head.
///
/// out, dout, dq like q; dk, dv like k. Rows of dk and dv beyond kv_len are not written.
/// Gradients are overwritten, not added.
/// Tolerance: 1e-4 of the largest element of each gradient.
struct AttentionBackward {
  AttentionShape shape;
  ConstTensorView q, k, v, out, dout;
  std::span<const float> log_sum_exp;
  TensorView dq, dk, dv;
  AttentionDropout dropout{};
};

/// Joins the attention of the same queries over two disjoint sets of keys (ring attention):
///   l = log(exp(log_sum_exp) + exp(other_log_sum_exp))
///   out = out exp(log_sum_exp - l) + other exp(other_log_sum_exp - l);  log_sum_exp = l
///
/// out, other [batch * query_len, heads * head_dim]; both log_sum_exp [batch * heads * query_len]
/// Of `shape` only batch, heads, head_dim and query_len matter.
/// Tolerance: 1e-6 * (1 + |out|).
struct AttentionMerge {
  AttentionShape shape;
  ConstTensorView other;
  std::span<const float> other_log_sum_exp;
  TensorView out;
  std::span<float> log_sum_exp;
};

/// Pairs (query, key) that see each other, of one head of one sequence.
constexpr std::int64_t visible_pairs(const AttentionShape& shape) {
  if (!shape.causal) return shape.query_len * shape.kv_len;
  std::int64_t pairs = 0;
  for (std::int64_t i = 0; i < shape.query_len; ++i)
    pairs += std::clamp<std::int64_t>(shape.query_offset + i + 1, 0, shape.kv_len);
  return pairs;
}

/// Two GEMMs over the visible pairs forward, five backward (one rebuilds the scores).
constexpr double flops(const AttentionForward& op) {
  return 4.0 * static_cast<double>(op.shape.batch * op.shape.heads * op.shape.head_dim) *
         static_cast<double>(visible_pairs(op.shape));
}
constexpr double flops(const AttentionBackward& op) {
  return 10.0 * static_cast<double>(op.shape.batch * op.shape.heads * op.shape.head_dim) *
         static_cast<double>(visible_pairs(op.shape));
}

constexpr std::int64_t kv_bytes(const AttentionShape& shape, ElementType type) {
  return shape.batch * shape.kv_len * shape.kv_heads * shape.head_dim * size_in_bytes(type);
}
constexpr std::int64_t bytes_moved(const AttentionForward& op) {
  return op.q.bytes() + 2 * kv_bytes(op.shape, op.k.type) + op.out.bytes() +
         4 * op.shape.batch * op.shape.heads * op.shape.query_len;
}
constexpr std::int64_t bytes_moved(const AttentionBackward& op) {
  return op.q.bytes() + op.out.bytes() + op.dout.bytes() + op.dq.bytes() +
         4 * kv_bytes(op.shape, op.k.type) +
         4 * op.shape.batch * op.shape.heads * op.shape.query_len;
}
constexpr std::int64_t bytes_moved(const AttentionMerge& op) {
  return op.other.bytes() + 2 * op.out.bytes() +
         12 * op.shape.batch * op.shape.heads * op.shape.query_len;
}

}  // namespace meshplan::kernels
