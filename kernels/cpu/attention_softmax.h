#pragma once
#include <cmath>
#include <limits>

#include "kernels/cpu/attention_tile.h"
#include "kernels/cpu/math.h"

// The softmax of attention over tiles of keys, as GEMMs and decoding share it.

namespace meshplan::kernels::cpu {

inline constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

/// Takes the keys [first_key, first_key + keys) into the running softmax of every row:
/// scores become exp(score - max), 0 where they are dropped, and outputs of earlier keys are scaled
/// to the new maximum.
struct SoftmaxStep {
  MESHPLAN_INLINE static void run(QueryTile tile, AttentionShape s, TileDropout dropout,
                                  std::int64_t first_key, std::int64_t keys, float* scores,
                                  float* outputs, float* max, float* sum) {
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
      if (dropout.drops) {
        dropout.for_each_group(
            r, first_key, seen,
            [&](std::int64_t begin, std::int64_t end, const std::uint32_t* words)
                __attribute__((always_inline)) {
#pragma omp simd
                  for (std::int64_t j = begin; j < end; ++j)
                    score[j] = words[j - begin] >= dropout.threshold ? score[j] : 0.0F;
                });
      }
      const float shrink = decay(max[r] - largest);
      float* output = outputs + r * s.head_dim;
#pragma omp simd
      for (std::int64_t d = 0; d < s.head_dim; ++d) output[d] *= shrink;
      sum[r] = sum[r] * shrink + total;
      max[r] = largest;
    }
  }
};

/// out = kept * outputs / sum, `kept` being the factor of what dropout leaves.
struct Normalise {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<T> out, const float* outputs, const float* sum,
                                  float kept) {
    for (std::int64_t r = 0; r < out.rows; ++r) {
      const float factor = sum[r] > 0 ? kept / sum[r] : 0.0F;
      const float* in = outputs + r * out.cols;
      T* to = out.row(r);
#pragma omp simd
      for (std::int64_t d = 0; d < out.cols; ++d) to[d] = rounded<T>(factor * in[d]);
    }
  }
};

/// What backward keeps of the rows of a tile whose keys have all been seen.
inline void store_log_sum_exp(const AttentionForward& op, const QueryTile& tile, const float* max,
                              const float* sum) {
  for (std::int64_t r = 0; r < tile.rows; ++r)
    op.log_sum_exp[static_cast<std::size_t>(tile.statistic + r)] =
        sum[r] > 0 ? max[r] + std::log(sum[r]) : kMinusInfinity;
}

}  // namespace meshplan::kernels::cpu
