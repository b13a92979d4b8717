#include "kernels/cpu/attention_tile.h"
#include "kernels/cpu/math.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cpu {
namespace {

/// d[r] = out[r] . dout[r]
struct DotRows {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> out, Matrix<const T> dout, float* d) {
    for (std::int64_t r = 0; r < out.rows; ++r) {
      const T* a = out.row(r);
      const T* b = dout.row(r);
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t c = 0; c < out.cols; ++c) sum += load(a[c]) * load(b[c]);
      d[r] = sum;
    }
  }
};

/// scores -> m * p with p = exp(score - log_sum_exp); gradients dp -> scale * p * (m * dp - d); 0
/// where masked. m = 1 without dropout.
struct GradientStep {
  MESHPLAN_INLINE static void run(QueryTile tile, AttentionShape s, TileDropout dropout,
                                  std::int64_t first_key, std::int64_t keys, float* scores,
                                  float* gradients, const float* log_sum_exp, const float* d) {
    for (std::int64_t r = 0; r < tile.rows; ++r) {
      float* score = scores + r * kKeyTile;
      float* gradient = gradients + r * kKeyTile;
      std::int64_t seen = tile.visible(r, s) - first_key;
      seen = seen < 0 ? 0 : (seen > keys ? keys : seen);
      const float statistic = log_sum_exp[r], correction = d[r];
      if (dropout.drops) {
        dropout.for_each_group(
            r, first_key, seen,
            [&](std::int64_t begin, std::int64_t end, const std::uint32_t* words)
                __attribute__((always_inline)) {
#pragma omp simd
                  for (std::int64_t j = begin; j < end; ++j) {
                    const float p = decay(score[j] - statistic);
                    const float m = words[j - begin] >= dropout.threshold ? dropout.factor : 0.0F;
                    score[j] = m * p;
                    gradient[j] = s.scale * p * (m * gradient[j] - correction);
                  }
                });
      } else {
#pragma omp simd
        for (std::int64_t j = 0; j < seen; ++j) {
          score[j] = decay(score[j] - statistic);
          gradient[j] = s.scale * score[j] * (gradient[j] - correction);
        }
      }
      for (std::int64_t j = seen; j < keys; ++j) score[j] = gradient[j] = 0.0F;
    }
  }
};

/// Where a gradient is summed: its own memory if that is fp32, else scratch that is copied at the
/// end.
TensorView sum_of(const TensorView& gradient, Scratch& scratch, Queue& queue) {
  TensorView sum = gradient;
  if (gradient.type != ElementType::F32)
    sum = matrix_view(scratch.floats(gradient.elements()), gradient.rows, gradient.cols);
  run(Fill{sum}, queue);
  return sum;
}

float* row_of(const TensorView& view, std::int64_t row) {
  return static_cast<float*>(view.data) + row * std::max(view.row_stride, view.cols);
}

std::int64_t stride_of(const TensorView& view) { return std::max(view.row_stride, view.cols); }

void backward_tile(const AttentionBackward& op, const QueryTile& tile, FloatMatrix keys,
                   FloatMatrix values, const TensorView& dk, const TensorView& dv, Queue& queue) {
  const AttentionShape& s = op.shape;
  auto& scratch = queue.state().scratch;
  const InstructionSet set = queue.state().instruction_set;
  const TileDropout dropout(op.dropout, tile);
  const ConstTensorView out = tile_view(op.out, tile, s), dout = tile_view(op.dout, tile, s);
  const FloatMatrix queries = floats(as_floats(tile_view(op.q, tile, s), scratch[kQueries], queue));
  const FloatMatrix output_gradients = floats(as_floats(dout, scratch[kOutputGradients], queue));
  float* scores = scratch[kScores].floats(kQueryTile * kKeyTile);
  float* score_gradients = scratch[kScoreGradients].floats(kQueryTile * kKeyTile);
  float* d = scratch[kRowStatistics].floats(kQueryTile);
  with_type(out.type,
            [&]<class T>(T) { vectorised<DotRows>(set, matrix<T>(out), matrix<T>(dout), d); });
  const TensorView dq = tile_view(op.dq, tile, s);
  const TensorView dq_sum = sum_of(dq, scratch[kOutputs], queue);

  const std::int64_t last = tile.visible(tile.rows - 1, s);
  for (std::int64_t j = 0; j < last; j += kKeyTile) {
    const std::int64_t count = std::min(kKeyTile, last - j);
    const FloatMatrix key_rows = rows_from(keys, j);
    sgemm(queue, tile.rows, count, s.head_dim, s.scale, queries, transposed(key_rows), 0.0F, scores,
          kKeyTile);
    sgemm(queue, tile.rows, count, s.head_dim, 1.0F, output_gradients,
          transposed(rows_from(values, j)), 0.0F, score_gradients, kKeyTile);
    vectorised<GradientStep>(set, tile, s, dropout, j, count, scores, score_gradients,
                             op.log_sum_exp.data() + tile.statistic, static_cast<const float*>(d));
    sgemm(queue, count, s.head_dim, tile.rows, 1.0F, {scores, kKeyTile, true}, output_gradients,
          1.0F, row_of(dv, j), stride_of(dv));
    sgemm(queue, count, s.head_dim, tile.rows, 1.0F, {score_gradients, kKeyTile, true}, queries,
          1.0F, row_of(dk, j), stride_of(dk));
    sgemm(queue, tile.rows, s.head_dim, count, 1.0F, {score_gradients, kKeyTile}, key_rows, 1.0F,
          row_of(dq_sum, 0), stride_of(dq_sum));
  }
  if (dq.type != ElementType::F32) run(Copy{dq_sum, dq}, queue);
}

}  // namespace

void run(const AttentionBackward& op, Queue& queue) {
  check_shapes(op);
  const AttentionShape& s = op.shape;
  auto& scratch = queue.state().scratch;
  for (std::int64_t b = 0; b < s.batch; ++b) {
    for (std::int64_t h = 0; h < s.kv_heads; ++h) {
      const FloatMatrix keys = floats(as_floats(head_view(op.k, s, b, h), scratch[kKeys], queue));
      const FloatMatrix values =
          floats(as_floats(head_view(op.v, s, b, h), scratch[kValues], queue));
      const TensorView dk = head_view(op.dk, s, b, h), dv = head_view(op.dv, s, b, h);
      const TensorView dk_sum = sum_of(dk, scratch[kKeyGradients], queue);
      const TensorView dv_sum = sum_of(dv, scratch[kValueGradients], queue);
      for_each_query_tile(s, b, h, [&](const QueryTile& tile) {
        backward_tile(op, tile, keys, values, dk_sum, dv_sum, queue);
      });
      if (dk.type != ElementType::F32) run(Copy{dk_sum, dk}, queue);
      if (dv.type != ElementType::F32) run(Copy{dv_sum, dv}, queue);
    }
  }
}

}  // namespace meshplan::kernels::cpu
