#include <cmath>

#include "kernels/cpu/attention_decode.h"
#include "kernels/cpu/attention_softmax.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cpu {
namespace {

struct MergeRow {
  template <class T>
  MESHPLAN_INLINE static void run(T* out, const T* other, float share, float other_share,
                                  std::int64_t size) {
#pragma omp simd
    for (std::int64_t d = 0; d < size; ++d)
      out[d] = rounded<T>(share * load(out[d]) + other_share * load(other[d]));
  }
};

void forward_tile(const AttentionForward& op, const QueryTile& tile, FloatMatrix keys,
                  FloatMatrix values, Queue& queue) {
  const AttentionShape& s = op.shape;
  auto& scratch = queue.state().scratch;
  const InstructionSet set = queue.state().instruction_set;
  const TileDropout dropout(op.dropout, tile);
  const FloatMatrix queries = floats(as_floats(tile_view(op.q, tile, s), scratch[kQueries], queue));
  float* scores = scratch[kScores].floats(kQueryTile * kKeyTile);
  float* outputs = scratch[kOutputs].floats(kQueryTile * s.head_dim);
  float* max = scratch[kRowStatistics].floats(2 * kQueryTile);
  float* sum = max + kQueryTile;
  std::fill_n(outputs, tile.rows * s.head_dim, 0.0F);
  std::fill_n(max, tile.rows, kMinusInfinity);
  std::fill_n(sum, tile.rows, 0.0F);

  const std::int64_t last = tile.visible(tile.rows - 1, s);
  for (std::int64_t j = 0; j < last; j += kKeyTile) {
    const std::int64_t count = std::min(kKeyTile, last - j);
    sgemm(queue, tile.rows, count, s.head_dim, s.scale, queries, transposed(rows_from(keys, j)),
          0.0F, scores, kKeyTile);
    vectorised<SoftmaxStep>(set, tile, s, dropout, j, count, scores, outputs, max, sum);
    sgemm(queue, tile.rows, s.head_dim, count, 1.0F, {scores, kKeyTile}, rows_from(values, j), 1.0F,
          outputs, s.head_dim);
  }

  const TensorView out = tile_view(op.out, tile, s);
  with_type(out.type, [&]<class T>(T) {
    vectorised<Normalise>(set, matrix<T>(out), static_cast<const float*>(outputs),
                          static_cast<const float*>(sum), dropout.factor);
  });
  store_log_sum_exp(op, tile, max, sum);
}

}  // namespace

void run(const AttentionForward& op, Queue& queue) {
  check_shapes(op);
  const AttentionShape& s = op.shape;
  if (s.query_len == 0) return;
  if (decodes(s)) return decode_attention(op, queue);
  auto& scratch = queue.state().scratch;
  for (std::int64_t b = 0; b < s.batch; ++b) {
    for (std::int64_t h = 0; h < s.kv_heads; ++h) {
      const FloatMatrix keys = floats(as_floats(head_view(op.k, s, b, h), scratch[kKeys], queue));
      const FloatMatrix values =
          floats(as_floats(head_view(op.v, s, b, h), scratch[kValues], queue));
      for_each_query_tile(
          s, b, h, [&](const QueryTile& tile) { forward_tile(op, tile, keys, values, queue); });
    }
  }
}

void run(const AttentionMerge& op, Queue& queue) {
  check_shapes(op);
  const AttentionShape& s = op.shape;
  with_type(op.out.type, [&]<class T>(T) {
    const Matrix<T> out = matrix<T>(op.out);
    const Matrix<const T> other = matrix<T>(op.other);
    for (std::int64_t row = 0; row < out.rows; ++row) {
      for (std::int64_t h = 0; h < s.heads; ++h) {
        const auto statistic = static_cast<std::size_t>(
            (row / s.query_len * s.heads + h) * s.query_len + row % s.query_len);
        float& mine = op.log_sum_exp[statistic];
        const float theirs = op.other_log_sum_exp[statistic];
        const float max = std::max(mine, theirs);
        if (max == kMinusInfinity) continue;
        const float joined = max + std::log(std::exp(mine - max) + std::exp(theirs - max));
        vectorised<MergeRow>(queue.state().instruction_set, out.row(row) + h * s.head_dim,
                             other.row(row) + h * s.head_dim, std::exp(mine - joined),
                             std::exp(theirs - joined), s.head_dim);
        mine = joined;
      }
    }
  });
}

}  // namespace meshplan::kernels::cpu
