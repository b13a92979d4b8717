#pragma once
#include "kernels/attention.h"
#include "kernels/cuda/queue.h"
#include "kernels/tensor_view.h"

// Between the GEMMs of unfused attention: what happens to a row of scores.

namespace meshplan::kernels::cuda {

/// A block of scores: rows are (key head, query), queries fastest, of one sequence and of the query
/// head `member` of each key head's group; columns are keys from 0 on.
struct ScoreBlock {
  AttentionShape shape;
  std::int64_t sequence = 0;
  std::int64_t member = 0;
  std::int64_t first_key_head = 0, key_heads = 0;
  std::int64_t first_query = 0, queries = 0;
  std::int64_t keys = 0;

  [[nodiscard]] std::int64_t rows() const { return key_heads * queries; }
};

/// p = m * softmax of scores over the keys that a query sees, 0 for the others, and log_sum_exp;
/// m is what `dropout` leaves.
///
/// scores [rows, keys] F32; p [rows, keys], may be the same memory if it is F32
/// log_sum_exp: of the whole attention
void softmax(const ScoreBlock& block, const AttentionDropout& dropout,
             const ConstTensorView& scores, const TensorView& p, float* log_sum_exp, Queue& queue);

/// With e = exp(scores - log_sum_exp), p = m * e and ds = e * (m * dp - out . dout) over the keys
/// that a query sees, 0 for the others.
///
/// scores, dp [rows, keys] F32; p, ds [rows, keys] of one type, may be the memory of scores and dp
/// if they are F32; out, dout, log_sum_exp: of the whole attention
void score_gradient(const ScoreBlock& block, const AttentionDropout& dropout,
                    const ConstTensorView& scores, const ConstTensorView& dp,
                    const ConstTensorView& out, const ConstTensorView& dout,
                    const float* log_sum_exp, const TensorView& p, const TensorView& ds,
                    Queue& queue);

}  // namespace meshplan::kernels::cuda
