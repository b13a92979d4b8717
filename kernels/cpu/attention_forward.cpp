#include <cmath>
#include <limits>

#include "kernels/cpu/attention_tile.h"
#include "kernels/cpu/math.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cpu {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

/// Takes the keys [first_key, first_key + keys) into the running softmax of every row:
/// scores become exp(score - max), and outputs of earlier keys are scaled to the new maximum.
struct SoftmaxStep {
  MESHPLAN_INLINE static void run(QueryTile tile, AttentionShape s, std::int64_t first_key,
                                  std::int64_t keys, float* scores, float* outputs, float* max,
                                  float* sum) {
    for (std::int64_t r = 0; r < tile.rows; ++r) {
      float* score = scores + r * kKeyTile;
      std::int64_t seen = tile.visible(r, s) - first_key;
      seen = seen < 0 ? 0 : (seen > keys ? keys : seen);
      float largest = max[r];
#pragma omp simd reduction(max : largest)
      for (std::int64_t j = 0; j < seen; ++j) largest = score[j] > largest ? score[j] : largest;
      float total = 0;
#pragma omp simd reduction(+ : total)
      for (std::int64_t j = 0; j < seen; ++j) {
        score[j] = decay(score[j] - largest);
        total += score[j];
      }
      for (std::int64_t j = seen; j < keys; ++j) score[j] = 0.0F;
      if (seen == 0) continue;
      const float shrink = decay(max[r] - largest);
      float* output = outputs + r * s.head_dim;
#pragma omp simd
      for (std::int64_t d = 0; d < s.head_dim; ++d) output[d] *= shrink;
      sum[r] = sum[r] * shrink + total;
      max[r] = largest;
    }
  }
};

struct Normalise {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<T> out, const float* outputs, const float* sum) {
    for (std::int64_t r = 0; r < out.rows; ++r) {
      const float factor = sum[r] > 0 ? 1.0F / sum[r] : 0.0F;
      const float* in = outputs + r * out.cols;
      T* to = out.row(r);
#pragma omp simd
      for (std::int64_t d = 0; d < out.cols; ++d) to[d] = rounded<T>(factor * in[d]);
    }
  }
};

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
    vectorised<SoftmaxStep>(set, tile, s, j, count, scores, outputs, max, sum);
    sgemm(queue, tile.rows, s.head_dim, count, 1.0F, {scores, kKeyTile}, rows_from(values, j), 1.0F,
          outputs, s.head_dim);
  }

  const TensorView out = tile_view(op.out, tile, s);
  with_type(out.type, [&]<class T>(T) {
    vectorised<Normalise>(set, matrix<T>(out), static_cast<const float*>(outputs),
                          static_cast<const float*>(sum));
  });
  for (std::int64_t r = 0; r < tile.rows; ++r)
    op.log_sum_exp[static_cast<std::size_t>(tile.statistic + r)] =
        sum[r] > 0 ? max[r] + std::log(sum[r]) : kMinusInfinity;
}

}  // namespace

void run(const AttentionForward& op, Queue& queue) {
  check_shapes(op);
  const AttentionShape& s = op.shape;
  if (s.query_len == 0) return;
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
