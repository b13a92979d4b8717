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
    for (std::int64_t j = 0; j < keys.rows; ++j) {
      for (std::int64_t h = 0; h < kv_heads; ++h) {
        const T* key = keys.row(j) + h * head_dim;
        prefetch_columns(keys, j + kAhead, 1, h * head_dim, head_dim);
        const float* q = queries + h * group * head_dim;
        float* score = scores + h * group * kKeyTile + j;
        for_each_row_block<4>(
            group, [&](std::int64_t first, auto count) __attribute__((always_inline)) {
              const float* rows = q + first * head_dim;
              Lanes sums[count] = {};
              float rest[count] = {};
              std::int64_t c = 0;
              for (; c + kLanes <= head_dim; c += kLanes) {
                Lanes k, row;
                load_lanes(key + c, k);
                for (std::int64_t r = 0; r < count; ++r) {
                  load_lanes(rows + r * head_dim + c, row);
                  sums[r] += row * k;
                }
              }
              for (; c < head_dim; ++c)
                for (std::int64_t r = 0; r < count; ++r)
                  rest[r] += rows[r * head_dim + c] * load(key[c]);
              for (std::int64_t r = 0; r < count; ++r)
                score[(first + r) * kKeyTile] = scale * (total(sums[r]) + rest[r]);
            });
      }
    }
  }
};

/// outputs[h] += sum_j scores[h, j] * values[j, key head of h].
struct AddValues {
  template <class T>
  MESHPLAN_INLINE static void run(const float* scores, Matrix<const T> values, std::int64_t group,
                                  std::int64_t head_dim, float* outputs) {
    const std::int64_t heads = values.cols / head_dim * group;
    for_each_row_block<4>(
        values.rows, [&](std::int64_t first, auto count) __attribute__((always_inline)) {
          for (std::int64_t h = 0; h < heads; ++h) {
            if (h % group == 0)
              prefetch_columns(values, first + kAhead, count, h / group * head_dim, head_dim);
            const float* p = scores + h * kKeyTile + first;
            const T* value = values.row(first) + h / group * head_dim;
            const std::int64_t stride = values.stride;
            float* out = outputs + h * head_dim;
#pragma omp simd
            for (std::int64_t c = 0; c < head_dim; ++c) {
              float sum = out[c];
              for (std::int64_t k = 0; k < count; ++k) sum += p[k] * load(value[k * stride + c]);
              out[c] = sum;
            }
          }
        });
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
