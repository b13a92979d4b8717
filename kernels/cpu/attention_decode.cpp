#include "kernels/cpu/attention_decode.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/attention_softmax.h"
#include "kernels/cpu/column_sum.h"
#include "kernels/cpu/row_dots.h"

namespace meshplan::kernels::cpu {
namespace {

/// The queries of all heads as fp32, each in the order of steps over T.
struct OrderQueries {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> q, std::int64_t head_dim, float* queries) {
    for (std::int64_t c = 0; c < q.cols; c += head_dim)
      to_step_order<T>(q.data + c, queries + c, head_dim);
  }
};

/// scores[h, j] = scale * queries[h] . keys[j, key head of h], for all heads and a tile of keys.
struct DotKeys {
  template <class T>
  MESHPLAN_INLINE static void run(const float* queries, Matrix<const T> keys, std::int64_t group,
                                  std::int64_t head_dim, float scale, float* scores) {
    const std::int64_t kv_heads = keys.cols / head_dim;
    for_each_row_block<4>(
        keys.rows, [&](std::int64_t first_key, auto key_count) __attribute__((always_inline)) {
          for (std::int64_t h = 0; h < kv_heads; ++h) {
            for_each_row_block<4>(
                group, [&](std::int64_t row, auto row_count) __attribute__((always_inline)) {
                  const std::int64_t head = h * group + row;
                  float dots[decltype(row_count)::value][decltype(key_count)::value];
                  dot_rows(queries + head * head_dim, head_dim, keys.row(first_key) + h * head_dim,
                           keys.stride, head_dim, row == 0, dots);
                  for (std::int64_t r = 0; r < row_count; ++r)
                    for (std::int64_t j = 0; j < key_count; ++j)
                      scores[(head + r) * kKeyTile + first_key + j] = scale * dots[r][j];
                });
          }
        });
  }
};

/// outputs[h] += sum_j scores[h, j] * values[j, key head of h], outputs in step order.
struct AddValues {
  template <class T>
  MESHPLAN_INLINE static void run(const float* scores, Matrix<const T> values, std::int64_t group,
                                  std::int64_t head_dim, float* outputs) {
    const std::int64_t kv_heads = values.cols / head_dim;
    for_each_row_block<4>(
        values.rows, [&](std::int64_t first, auto count) __attribute__((always_inline)) {
          for (std::int64_t h = 0; h < kv_heads; ++h) {
            for_each_row_block<4>(
                group, [&](std::int64_t row, auto row_count) __attribute__((always_inline)) {
                  const std::int64_t head = h * group + row;
                  add<decltype(row_count)::value, decltype(count)::value>(
                      scores + head * kKeyTile + first, values.row(first) + h * head_dim,
                      values.stride, head_dim, row == 0, outputs + head * head_dim);
                });
          }
        });
  }

  /// Some heads of one group and some values, each of which meets all of these heads once loaded.
  template <std::int64_t kHeads, std::int64_t kValues, class T>
  MESHPLAN_INLINE static void add(const float* scores, const T* values, std::int64_t stride,
                                  std::int64_t head_dim, bool ahead, float* outputs) {
    constexpr std::int64_t kParts = kStepLanes<T>;
    std::int64_t c = 0;
    for (; c + kParts * kLanes <= head_dim; c += kParts * kLanes) {
      Lanes value[kValues][kParts], sum;
      for (std::int64_t j = 0; j < kValues; ++j) {
        load_step(values + j * stride + c, value[j]);
        if (ahead) prefetch_step(values + (j + kRowsAhead) * stride + c);
      }
      for (std::int64_t part = 0; part < kParts; ++part) {
        for (std::int64_t r = 0; r < kHeads; ++r) {
          float* output = outputs + r * head_dim + c + part * kLanes;
          load_lanes(output, sum);
          for (std::int64_t j = 0; j < kValues; ++j)
            sum += scores[r * kKeyTile + j] * value[j][part];
          std::memcpy(output, &sum, sizeof(sum));
        }
      }
    }
    for (; c < head_dim; ++c)
      for (std::int64_t r = 0; r < kHeads; ++r)
        for (std::int64_t j = 0; j < kValues; ++j)
          outputs[r * head_dim + c] += scores[r * kKeyTile + j] * load(values[j * stride + c]);
  }
};

/// The outputs of all heads in the order of columns.
template <class T>
struct OrderOutputs {
  MESHPLAN_INLINE static void run(const float* outputs, std::int64_t heads, std::int64_t head_dim,
                                  float* ordered) {
    for (std::int64_t h = 0; h < heads; ++h)
      from_step_order<T>(outputs + h * head_dim, ordered + h * head_dim, head_dim);
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
  float* queries = scratch[kQueries].floats(s.heads * s.head_dim);
  with_type(op.q.type, [&]<class T>(T) {
    vectorised<OrderQueries>(set, matrix<T>(rows(op.q, sequence, 1)), s.head_dim, queries);
  });
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
      vectorised<DotKeys>(set, static_cast<const float*>(queries),
                          matrix<T>(rows(op.k, first_key + j, count)), group, s.head_dim, s.scale,
                          scores);
    });
    vectorised<SoftmaxStep>(set, tile, s, dropout, j, count, scores, outputs, max, sum);
    with_type(op.v.type, [&]<class T>(T) {
      vectorised<AddValues>(set, static_cast<const float*>(scores),
                            matrix<T>(rows(op.v, first_value + j, count)), group, s.head_dim,
                            outputs);
    });
  }
  const TensorView out = tile_view(op.out, tile, s);
  float* ordered = scratch[kOutputGradients].floats(s.heads * s.head_dim);
  with_type(out.type, [&]<class T>(T) {
    vectorised<OrderOutputs<T>>(set, static_cast<const float*>(outputs), s.heads, s.head_dim,
                                ordered);
    vectorised<Normalise>(set, matrix<T>(out), static_cast<const float*>(ordered),
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
