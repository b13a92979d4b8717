#include "kernels/cpu/attention_decode.h"

#include <algorithm>

#include "kernels/cpu/attention_softmax.h"
#include "kernels/cpu/column_sum.h"
#include "kernels/cpu/lanes.h"

namespace meshplan::kernels::cpu {
namespace {

/// Rows of the cache that are asked for ahead. A row is often a page, and what a processor fetches
/// ahead by itself stops at the end of a page.
constexpr std::int64_t kAhead = 8;

/// scores[h, j] = scale * queries[h] . keys[j, key head of h], for all heads and a tile of keys.
struct DotKeys {
  template <class T>
  MESHPLAN_INLINE static void run(const float* queries, Matrix<const T> keys, std::int64_t group,
                                  std::int64_t head_dim, float scale, float* scores) {
    const std::int64_t kv_heads = keys.cols / head_dim;
    for_each_row_block<4>(keys.rows, [&](std::int64_t j, auto key_count)
                                         __attribute__((always_inline)) {
      for (std::int64_t h = 0; h < kv_heads; ++h) {
        prefetch_columns(keys, j + kAhead, key_count, h * head_dim, head_dim);
        const T* key = keys.row(j) + h * head_dim;
        const float* q = queries + h * group * head_dim;
        float* score = scores + h * group * kKeyTile + j;
        for_each_row_block<4>(
            group, [&](std::int64_t first, auto count) __attribute__((always_inline)) {
              dot<decltype(key_count)::value, decltype(count)::value>(
                  key, keys.stride, q + first * head_dim, head_dim, scale,
                  score + first * kKeyTile);
            });
      }
    });
  }

  /// kKeys keys times kQueries queries, all sums in registers, so that each number that is loaded
  /// meets several.
  template <std::int64_t kKeys, std::int64_t kQueries, class T>
  MESHPLAN_INLINE static void dot(const T* keys, std::int64_t stride, const float* queries,
                                  std::int64_t head_dim, float scale, float* scores) {
    Lanes sums[kKeys][kQueries] = {};
    std::int64_t c = 0;
    for (; c + kLanes <= head_dim; c += kLanes) {
      Lanes key[kKeys], query;
      for (std::int64_t k = 0; k < kKeys; ++k) load_lanes(keys + k * stride + c, key[k]);
      for (std::int64_t r = 0; r < kQueries; ++r) {
        load_lanes(queries + r * head_dim + c, query);
        for (std::int64_t k = 0; k < kKeys; ++k) sums[k][r] += query * key[k];
      }
    }
    for (std::int64_t r = 0; r < kQueries; ++r) {
      for (std::int64_t k = 0; k < kKeys; ++k) {
        float sum = total(sums[k][r]);
        for (std::int64_t d = c; d < head_dim; ++d)
          sum += queries[r * head_dim + d] * load(keys[k * stride + d]);
        scores[r * kKeyTile + k] = scale * sum;
      }
    }
  }
};

/// outputs[h] += sum_j scores[h, j] * values[j, key head of h].
struct AddValues {
  template <class T>
  MESHPLAN_INLINE static void run(const float* scores, Matrix<const T> values, std::int64_t group,
                                  std::int64_t head_dim, float* outputs) {
    const std::int64_t kv_heads = values.cols / head_dim;
    for_each_row_block<4>(
        values.rows, [&](std::int64_t first, auto count) __attribute__((always_inline)) {
          for (std::int64_t h = 0; h < kv_heads; ++h) {
            prefetch_columns(values, first + kAhead, count, h * head_dim, head_dim);
            const T* value = values.row(first) + h * head_dim;
            for_each_row_block<4>(
                group, [&](std::int64_t row, auto rows) __attribute__((always_inline)) {
                  const std::int64_t head = h * group + row;
                  add<decltype(count)::value, decltype(rows)::value>(
                      value, values.stride, scores + head * kKeyTile + first, head_dim,
                      outputs + head * head_dim);
                });
          }
        });
  }

  /// kValues values times the probabilities of kQueries queries.
  template <std::int64_t kValues, std::int64_t kQueries, class T>
  MESHPLAN_INLINE static void add(const T* values, std::int64_t stride, const float* scores,
                                  std::int64_t head_dim, float* outputs) {
    float p[kQueries][kValues];
    for (std::int64_t r = 0; r < kQueries; ++r)
      for (std::int64_t k = 0; k < kValues; ++k) p[r][k] = scores[r * kKeyTile + k];
#pragma omp simd
    for (std::int64_t c = 0; c < head_dim; ++c) {
      float value[kValues];
      for (std::int64_t k = 0; k < kValues; ++k) value[k] = load(values[k * stride + c]);
      for (std::int64_t r = 0; r < kQueries; ++r) {
        float sum = outputs[r * head_dim + c];
        for (std::int64_t k = 0; k < kValues; ++k) sum += p[r][k] * value[k];
        outputs[r * head_dim + c] = sum;
      }
    }
  }
};

void decode_sequence(const AttentionForward& op, std::int64_t sequence, Queue& queue) {
  const AttentionShape& s = op.shape;
  auto& scratch = queue.state().scratch;
  const InstructionSet set = queue.state().instruction_set;
  // All heads are rows of one tile.
  const QueryTile tile{.rows = s.heads,
                       .first_row = sequence,
                       .first_column = 0,
                       .heads_as_rows = true,
                       .statistic = sequence * s.heads,
                       .sequence = sequence,
                       .head = 0,
                       .position = s.query_offset,
                       .position_step = 0};
  const TileDropout dropout(op.dropout, tile);
  const std::int64_t group = s.heads / s.kv_heads;
  const ConstTensorView row = as_floats(rows(op.q, sequence, 1), scratch[kQueries], queue);
  const auto* queries = static_cast<const float*>(row.data);
  float* scores = scratch[kScores].floats(s.heads * kKeyTile);
  float* outputs = scratch[kOutputs].floats(s.heads * s.head_dim);
  float* max = scratch[kRowStatistics].floats(2 * s.heads);
  float* sum = max + s.heads;
  std::fill_n(outputs, s.heads * s.head_dim, 0.0F);
  std::fill_n(max, s.heads, kMinusInfinity);
  std::fill_n(sum, s.heads, 0.0F);

  const std::int64_t seen = tile.visible(0, s);
  const std::int64_t first_key = sequence * (op.k.rows / s.batch);
  const std::int64_t first_value = sequence * (op.v.rows / s.batch);
  for (std::int64_t j = 0; j < seen; j += kKeyTile) {
    const std::int64_t count = std::min(kKeyTile, seen - j);
    with_type(op.k.type, [&]<class T>(T) {
      vectorised<DotKeys>(set, queries, matrix<T>(rows(op.k, first_key + j, count)), group,
                          s.head_dim, s.scale, scores);
    });
    vectorised<SoftmaxStep>(set, tile, s, dropout, j, count, scores, outputs, max, sum);
    with_type(op.v.type, [&]<class T>(T) {
      vectorised<AddValues>(set, static_cast<const float*>(scores),
                            matrix<T>(rows(op.v, first_value + j, count)), group, s.head_dim,
                            outputs);
    });
  }
  const TensorView out = tile_view(op.out, tile, s);
  with_type(out.type, [&]<class T>(T) {
    vectorised<Normalise>(set, matrix<T>(out), static_cast<const float*>(outputs),
                          static_cast<const float*>(sum), dropout.factor);
  });
  store_log_sum_exp(op, tile, max, sum);
}

}  // namespace

void decode_attention(const AttentionForward& op, Queue& queue) {
  for (std::int64_t sequence = 0; sequence < op.shape.batch; ++sequence)
    decode_sequence(op, sequence, queue);
}

}  // namespace meshplan::kernels::cpu
