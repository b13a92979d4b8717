#include "kernels/cuda/attention_unfused.h"

#include <algorithm>
#include <limits>

#include "kernels/cuda/attention_rows.h"
#include "kernels/cuda/gemm_problem.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/queue_state.h"

namespace meshplan::kernels::cuda {

ScoreBlocks score_blocks(const AttentionShape& shape, std::int64_t bytes_a_score,
                         std::int64_t budget) {
  constexpr std::int64_t kVector = 8, kMostQueries = 1024;
  ScoreBlocks blocks;
  blocks.row_stride =
      std::max<std::int64_t>((shape.kv_len + kVector - 1) / kVector * kVector, kVector);
  const std::int64_t rows = std::max<std::int64_t>(budget / (blocks.row_stride * bytes_a_score), 1);
  blocks.queries =
      std::clamp<std::int64_t>(shape.query_len, 1, std::min<std::int64_t>(rows, kMostQueries));
  blocks.key_heads = std::clamp<std::int64_t>(rows / blocks.queries, 1, shape.kv_heads);
  return blocks;
}

std::int64_t keys_seen(const AttentionShape& shape, std::int64_t first, std::int64_t count) {
  if (!shape.causal) return shape.kv_len;
  return std::clamp<std::int64_t>(shape.query_offset + first + count, 0, shape.kv_len);
}

namespace {

template <class Pointer>
using View = BasicTensorView<Pointer>;

/// The part of q, out or their gradients that belongs to the first head of a block; the next key
/// head's is `query_stride` elements on.
template <class Pointer>
View<Pointer> of_queries(const View<Pointer>& view, const ScoreBlock& block) {
  const AttentionShape& s = block.shape;
  const std::int64_t head = block.first_key_head * (s.heads / s.kv_heads) + block.member;
  return columns(rows(view, block.sequence * s.query_len + block.first_query, block.queries),
                 head * s.head_dim, s.head_dim);
}

/// The like of k or v: the keys of the block.
template <class Pointer>
View<Pointer> of_keys(const View<Pointer>& view, const ScoreBlock& block) {
  const AttentionShape& s = block.shape;
  return columns(rows(view, block.sequence * (view.rows / s.batch), block.keys),
                 block.first_key_head * s.head_dim, s.head_dim);
}

/// Scores of a block in scratch memory.
TensorView of_scores(void* memory, ElementType type, const ScoreBlock& block,
                     const ScoreBlocks& blocks) {
  return {memory, block.queries, block.keys, blocks.row_stride, type};
}

std::int64_t query_stride(const AttentionShape& s) { return s.heads / s.kv_heads * s.head_dim; }

/// [rows, keys] over all heads of the block.
TensorView all_rows(const TensorView& scores, const ScoreBlock& block) {
  return {scores.data, block.rows(), scores.cols, scores.row_stride, scores.type};
}

/// out = 0 for the queries of the block.
void clear_queries(const TensorView& out, const ScoreBlock& block, Queue& queue) {
  const TensorView first = of_queries(out, block);
  for (std::int64_t head = 0; head < block.key_heads; ++head)
    run(Fill{{static_cast<std::byte*>(first.data) +
                  head * query_stride(block.shape) * size_in_bytes(out.type),
              first.rows, first.cols, first.row_stride, first.type}},
        queue);
}

/// Calls visit(block) for each member of the groups and each block of queries of some key heads.
template <class Visit>
void for_each_block(const AttentionShape& s, const ScoreBlocks& blocks, std::int64_t sequence,
                    std::int64_t first_key_head, std::int64_t key_heads, Visit visit) {
  for (std::int64_t member = 0; member < s.heads / s.kv_heads; ++member) {
    for (std::int64_t query = 0; query < s.query_len; query += blocks.queries) {
      const std::int64_t queries = std::min(blocks.queries, s.query_len - query);
      visit(ScoreBlock{.shape = s,
                       .sequence = sequence,
                       .member = member,
                       .first_key_head = first_key_head,
                       .key_heads = key_heads,
                       .first_query = query,
                       .queries = queries,
                       .keys = keys_seen(s, query, queries)});
    }
  }
}

/// Calls visit(sequence, first key head, key heads).
template <class Visit>
void for_each_key_heads(const AttentionShape& s, const ScoreBlocks& blocks, Visit visit) {
  for (std::int64_t sequence = 0; sequence < s.batch; ++sequence)
    for (std::int64_t head = 0; head < s.kv_heads; head += blocks.key_heads)
      visit(sequence, head, std::min(blocks.key_heads, s.kv_heads - head));
}

}  // namespace

void unfused_attention(const AttentionForward& op, Queue& queue) {
  const AttentionShape& s = op.shape;
  const bool bf16 = op.q.type == ElementType::Bf16;
  // Probabilities in fp32 take the place of the scores.
  const ScoreBlocks blocks = score_blocks(s, bf16 ? 4 + 2 : 4, queue.state().options.score_bytes);
  const std::int64_t scores_of_block = blocks.key_heads * blocks.queries * blocks.row_stride;
  ScratchLayout layout;
  const std::int64_t at_scores = layout.take(4 * scores_of_block);
  const std::int64_t at_p = bf16 ? layout.take(2 * scores_of_block) : at_scores;
  void* scratch = queue.state().scratch.reserve(layout.bytes(), queue.state().stream);

  for_each_key_heads(s, blocks, [&](std::int64_t sequence, std::int64_t head, std::int64_t heads) {
    for_each_block(s, blocks, sequence, head, heads, [&](const ScoreBlock& block) {
      const TensorView scores =
          of_scores(piece<float>(scratch, at_scores), ElementType::F32, block, blocks);
      const TensorView p = of_scores(piece<void*>(scratch, at_p), op.q.type, block, blocks);
      const std::int64_t score_stride = block.queries * blocks.row_stride;
      if (block.keys > 0)
        multiply({.a = of_queries(op.q, block),
                  .b = of_keys(op.k, block),
                  .c = scores,
                  .transpose_b = true,
                  .alpha = s.scale,
                  .batch = block.key_heads,
                  .a_stride = query_stride(s),
                  .b_stride = s.head_dim,
                  .c_stride = score_stride},
                 queue);
      softmax(block, op.dropout, all_rows(scores, block), all_rows(p, block), op.log_sum_exp.data(),
              queue);
      if (block.keys == 0) return clear_queries(op.out, block, queue);
      multiply({.a = p,
                .b = of_keys(op.v, block),
                .c = of_queries(op.out, block),
                .batch = block.key_heads,
                .a_stride = score_stride,
                .b_stride = s.head_dim,
                .c_stride = query_stride(s)},
               queue);
    });
  });
}

void unfused_attention(const AttentionBackward& op, Queue& queue) {
  const AttentionShape& s = op.shape;
  const bool bf16 = op.q.type == ElementType::Bf16;
  const ScoreBlocks blocks =
      score_blocks(s, bf16 ? 2 * (4 + 2) : 2 * 4, queue.state().options.score_bytes);
  const std::int64_t scores_of_block = blocks.key_heads * blocks.queries * blocks.row_stride;
  // Gradients of keys and values are sums over blocks of queries and over the members of a group:
  // [kv_len, key heads * head_dim] in fp32, rounded at the end.
  const std::int64_t sums = s.kv_len * blocks.key_heads * s.head_dim;
  ScratchLayout layout;
  const std::int64_t at_scores = layout.take(4 * scores_of_block);
  const std::int64_t at_dp = layout.take(4 * scores_of_block);
  const std::int64_t at_p = bf16 ? layout.take(2 * scores_of_block) : at_scores;
  const std::int64_t at_ds = bf16 ? layout.take(2 * scores_of_block) : at_dp;
  const std::int64_t at_dk = layout.take(4 * sums), at_dv = layout.take(4 * sums);
  void* scratch = queue.state().scratch.reserve(layout.bytes(), queue.state().stream);

  for_each_key_heads(s, blocks, [&](std::int64_t sequence, std::int64_t head, std::int64_t heads) {
    const std::int64_t cols = heads * s.head_dim;
    const TensorView dk = matrix_view(piece<float>(scratch, at_dk), s.kv_len, cols);
    const TensorView dv = matrix_view(piece<float>(scratch, at_dv), s.kv_len, cols);
    run(Fill{dk, 0.0F}, queue);
    run(Fill{dv, 0.0F}, queue);
    for_each_block(s, blocks, sequence, head, heads, [&](const ScoreBlock& block) {
      if (block.keys == 0) return clear_queries(op.dq, block, queue);
      const TensorView scores =
          of_scores(piece<float>(scratch, at_scores), ElementType::F32, block, blocks);
      const TensorView dp =
          of_scores(piece<float>(scratch, at_dp), ElementType::F32, block, blocks);
      const TensorView p = of_scores(piece<void*>(scratch, at_p), op.q.type, block, blocks);
      const TensorView ds = of_scores(piece<void*>(scratch, at_ds), op.q.type, block, blocks);
      const std::int64_t score_stride = block.queries * blocks.row_stride;
      // scores = scale q k^T and dp = dout v^T
      BatchedGemm to_scores{.a = of_queries(op.q, block),
                            .b = of_keys(op.k, block),
                            .c = scores,
                            .transpose_b = true,
                            .alpha = s.scale,
                            .batch = block.key_heads,
                            .a_stride = query_stride(s),
                            .b_stride = s.head_dim,
                            .c_stride = score_stride};
      multiply(to_scores, queue);
      to_scores.a = of_queries(op.dout, block);
      to_scores.b = of_keys(op.v, block);
      to_scores.c = dp;
      to_scores.alpha = 1.0F;
      multiply(to_scores, queue);
      score_gradient(block, op.dropout, all_rows(scores, block), all_rows(dp, block), op.out,
                     op.dout, op.log_sum_exp.data(), all_rows(p, block), all_rows(ds, block),
                     queue);
      // dq = scale ds k
      multiply({.a = ds,
                .b = of_keys(op.k, block),
                .c = of_queries(op.dq, block),
                .alpha = s.scale,
                .batch = block.key_heads,
                .a_stride = score_stride,
                .b_stride = s.head_dim,
                .c_stride = query_stride(s)},
               queue);
      // dv += p^T dout and dk += scale ds^T q
      BatchedGemm to_keys{.a = p,
                          .b = of_queries(op.dout, block),
                          .c = columns(rows(dv, 0, block.keys), 0, s.head_dim),
                          .transpose_a = true,
                          .beta = 1.0F,
                          .batch = block.key_heads,
                          .a_stride = score_stride,
                          .b_stride = query_stride(s),
                          .c_stride = s.head_dim};
      multiply(to_keys, queue);
      to_keys.a = ds;
      to_keys.b = of_queries(op.q, block);
      to_keys.c = columns(rows(dk, 0, block.keys), 0, s.head_dim);
      to_keys.alpha = s.scale;
      multiply(to_keys, queue);
    });
    const auto store = [&](const TensorView& sum, const TensorView& gradient) {
      run(Copy{sum, columns(rows(gradient, sequence * (gradient.rows / s.batch), s.kv_len),
                            head * s.head_dim, cols)},
          queue);
    };
    store(dk, op.dk);
    store(dv, op.dv);
  });
}

}  // namespace meshplan::kernels::cuda
