#include <bit>

#include "kernels/cuda/attention_decode.h"
#include "kernels/cuda/chunks.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/math.h"

namespace meshplan::kernels::cuda {

KeyParts key_parts(const AttentionShape& shape) {
  // About 512 blocks keep any device busy; a part is no shorter than 64 keys.
  constexpr std::int64_t kBlocks = 512, kFewestKeys = 64;
  const std::int64_t wanted = std::max<std::int64_t>(kBlocks / (shape.batch * shape.kv_heads), 1);
  KeyParts parts;
  parts.keys_of_part =
      std::max<std::int64_t>(ceiling_of_quotient(shape.kv_len, wanted), kFewestKeys);
  parts.count = std::max<std::int64_t>(ceiling_of_quotient(shape.kv_len, parts.keys_of_part), 1);
  return parts;
}

bool decodes(const AttentionForward& op) {
  const AttentionShape& s = op.shape;
  const int width = op.q.type == ElementType::Bf16 ? 8 : 4;
  const std::int64_t lanes = s.head_dim / width;
  const auto aligned = [&](const ConstTensorView& view) { return chunks_aligned(view, width); };
  return !op.dropout.drops() && s.query_len >= 1 && s.query_len <= 8 &&
         s.query_len * (s.heads / s.kv_heads) <= 64 && s.head_dim % width == 0 && lanes <= 32 &&
         std::has_single_bit(static_cast<std::uint64_t>(lanes)) && aligned(op.q) && aligned(op.k) &&
         aligned(op.v);
}

namespace {

constexpr int kDecodeLanes = 256;
constexpr int kQueries = 4;  ///< of a key head, taken through the keys together
constexpr int kAhead = 2;    ///< keys of a lane whose loads are under way at a time

/// One part of the keys for up to four queries of a key head: the sums relative to the part's
/// maximum. Each `segment` of head_dim / kWidth lanes has a key at a time, a lane a chunk of it.
template <int kWidth>
struct DecodePart {
  AttentionShape shape;
  std::int64_t capacity;  ///< rows of k and v a sequence
  Input q, k, v;
  KeyParts parts;
  std::int64_t queries;  ///< of a key head: heads of its group times query_len
  std::int64_t tiles;    ///< of kQueries queries
  int segment;
  float* partial_out;  ///< [sequence, key head, query, part, head_dim]
  float* partial_max;  ///< [sequence, key head, query, part]
  float* partial_sum;

  struct State {
    float q[kQueries][kWidth];
    float out[kQueries][kWidth];
    float max[kQueries], sum[kQueries];
    float score[kAhead][kQueries];
    Words k[kAhead], v[kAhead];
    float factor;
  };

  /// Position and head of query `m` of a key head.
  struct Query {
    std::int64_t row, column, visible;
  };
  MESHPLAN_DEVICE Query query(std::int64_t sequence, std::int64_t key_head, std::int64_t m) const {
    const std::int64_t group = shape.heads / shape.kv_heads;
    const std::int64_t i = m / group, head = key_head * group + m % group;
    std::int64_t visible = shape.causal ? shape.query_offset + i + 1 : shape.kv_len;
    visible = visible < 0 ? 0 : visible > shape.kv_len ? shape.kv_len : visible;
    return {sequence * shape.query_len + i, head * shape.head_dim, visible};
  }

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    const std::int64_t units = shape.batch * shape.kv_heads * parts.count * tiles;
    const int segments = G::lanes / segment;
    for (std::int64_t unit = group.index(); unit < units; unit += group.count()) {
      const std::int64_t tile = unit % tiles, part = unit / tiles % parts.count;
      const std::int64_t key_head = unit / tiles / parts.count % shape.kv_heads;
      const std::int64_t sequence = unit / tiles / parts.count / shape.kv_heads;
      const std::int64_t first = part * parts.keys_of_part;
      const std::int64_t last =
          first + parts.keys_of_part < shape.kv_len ? first + parts.keys_of_part : shape.kv_len;
      typename G::template PerLane<State> state;
      group.each(state, [&](int lane, State& s) {
#pragma unroll
        for (int m = 0; m < kQueries; ++m) {
          s.max[m] = -infinity();
          s.sum[m] = 0;
          const bool exists = tile * kQueries + m < queries;
          const Query at = query(sequence, key_head, exists ? tile * kQueries + m : 0);
          load_floats<kWidth>(q,
                              {at.row, at.column + lane % segment * kWidth, 0, exists ? kWidth : 0},
                              true, s.q[m]);
#pragma unroll
          for (int i = 0; i < kWidth; ++i) {
            s.q[m][i] *= shape.scale;
            s.out[m][i] = 0;
          }
        }
      });
      for (std::int64_t base = first; base < last; base += kAhead * segments) {
        group.each(state, [&](int lane, State& s) {
          const std::int64_t column = key_head * shape.head_dim + lane % segment * kWidth;
#pragma unroll
          for (int a = 0; a < kAhead; ++a) {
            const std::int64_t key = base + a * segments + lane / segment;
            const Place place{sequence * capacity + key, column, 0, key < last ? kWidth : 0};
            s.k[a] = load<kWidth>(k, place, true);
            s.v[a] = load<kWidth>(v, place, true);
          }
#pragma unroll
          for (int a = 0; a < kAhead; ++a) {
            float of_key[kWidth];
            unpack<kWidth>(s.k[a], k.type, of_key);
#pragma unroll
            for (int m = 0; m < kQueries; ++m) {
              s.score[a][m] = 0;
#pragma unroll
              for (int i = 0; i < kWidth; ++i) s.score[a][m] += s.q[m][i] * of_key[i];
            }
          }
        });
#pragma unroll
        for (int a = 0; a < kAhead; ++a)
#pragma unroll
          for (int m = 0; m < kQueries; ++m)
            group.sum_segments(
                state, segment, [&](const State& s) { return s.score[a][m]; },
                [&](State& s, float total) { s.score[a][m] = total; });
        group.each(state, [&](int lane, State& s) {
#pragma unroll
          for (int a = 0; a < kAhead; ++a) {
            const std::int64_t key = base + a * segments + lane / segment;
            float of_value[kWidth];
            unpack<kWidth>(s.v[a], v.type, of_value);
#pragma unroll
            for (int m = 0; m < kQueries; ++m) {
              if (tile * kQueries + m >= queries) continue;
              const Query at = query(sequence, key_head, tile * kQueries + m);
              if (key >= last || key >= at.visible) continue;
              const float max = s.score[a][m] > s.max[m] ? s.score[a][m] : s.max[m];
              const float kept = exponential(s.max[m] - max);  // 0 for the first key
              const float p = exponential(s.score[a][m] - max);
              s.max[m] = max;
              s.sum[m] = s.sum[m] * kept + p;
#pragma unroll
              for (int i = 0; i < kWidth; ++i) s.out[m][i] = s.out[m][i] * kept + p * of_value[i];
            }
          }
        });
      }
      // Joins the segments.
#pragma unroll
      for (int m = 0; m < kQueries; ++m) {
        if (tile * kQueries + m >= queries) continue;
        const std::int64_t statistic =
            ((sequence * shape.kv_heads + key_head) * queries + tile * kQueries + m) * parts.count +
            part;
        const float max = group.reduce(
            state, [&](const State& s) { return s.max[m]; },
            [](float a, float b) { return a > b ? a : b; });
        group.each(state, [&](int lane, State& s) {
          s.factor = s.max[m] == -infinity() ? 0.0F : exponential(s.max[m] - max);
          s.score[0][m] = lane % segment == 0 ? s.sum[m] * s.factor : 0.0F;
        });
        const float total = sum(group, state, [&](const State& s) { return s.score[0][m]; });
        group.each([&](int lane) {
          if (lane != 0) return;
          partial_max[statistic] = max;
          partial_sum[statistic] = total;
        });
#pragma unroll
        for (int i = 0; i < kWidth; ++i)
          group.exchange(
              state, [&](const State& s) { return s.out[m][i] * s.factor; },
              [&](int lane, State&, const float* all) {
                if (lane >= segment) return;
                float joined = all[lane];
                for (int other = 1; other < segments; ++other)
                  joined += all[lane + other * segment];
                partial_out[statistic * shape.head_dim + lane * kWidth + i] = joined;
              });
      }
    }
  }
};

/// out and log_sum_exp of a query from its parts; a warp a query.
struct JoinParts {
  AttentionShape shape;
  std::int64_t parts, queries, units;
  const float* partial_out;
  const float* partial_max;
  const float* partial_sum;
  Output out;
  float* log_sum_exp;

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    const std::int64_t members = shape.heads / shape.kv_heads;
    for (std::int64_t unit = group.index(); unit < units; unit += group.count()) {
      const std::int64_t m = unit % queries, key_head = unit / queries % shape.kv_heads;
      const std::int64_t sequence = unit / queries / shape.kv_heads;
      const std::int64_t i = m / members, head = key_head * members + m % members;
      float max = -infinity();
      for (std::int64_t part = 0; part < parts; ++part) {
        const float of_part = partial_max[unit * parts + part];
        max = of_part > max ? of_part : max;
      }
      const bool blind = max == -infinity();  // the query sees no key
      float total = 0;
      for (std::int64_t part = 0; part < parts && !blind; ++part)
        total +=
            partial_sum[unit * parts + part] * exponential(partial_max[unit * parts + part] - max);
      group.each([&](int lane) {
        for (std::int64_t d = lane; d < shape.head_dim; d += G::lanes) {
          float sum = 0;
          for (std::int64_t part = 0; part < parts && !blind; ++part)
            sum += partial_out[(unit * parts + part) * shape.head_dim + d] *
                   exponential(partial_max[unit * parts + part] - max);
          store_element(
              out, (sequence * shape.query_len + i) * out.row_stride + head * shape.head_dim + d,
              blind ? 0.0F : sum / total);
        }
        if (lane == 0)
          log_sum_exp[(sequence * shape.heads + head) * shape.query_len + i] =
              blind ? -infinity() : max + logarithm(total);
      });
    }
  }
};

}  // namespace

void decode_attention(const AttentionForward& op, Queue& queue) {
  const AttentionShape& s = op.shape;
  const KeyParts parts = key_parts(s);
  const std::int64_t queries = s.heads / s.kv_heads * s.query_len;
  const std::int64_t tiles = ceiling_of_quotient(queries, kQueries);
  const std::int64_t units = s.batch * s.kv_heads * queries;
  ScratchLayout layout;
  const std::int64_t at_out = layout.take(4 * units * parts.count * s.head_dim);
  const std::int64_t at_max = layout.take(4 * units * parts.count);
  const std::int64_t at_sum = layout.take(4 * units * parts.count);
  void* scratch = queue.state().scratch.reserve(layout.bytes(), queue.state().stream);
  auto* partial_out = piece<float>(scratch, at_out);
  auto* partial_max = piece<float>(scratch, at_max);
  auto* partial_sum = piece<float>(scratch, at_sum);
  const auto decode = [&]<int kWidth>(std::integral_constant<int, kWidth>) {
    issue<kDecodeLanes>(queue, s.batch * s.kv_heads * parts.count * tiles,
                        DecodePart<kWidth>{s, op.k.rows / s.batch, op.q, op.k, op.v, parts, queries,
                                           tiles, static_cast<int>(s.head_dim / kWidth),
                                           partial_out, partial_max, partial_sum});
  };
  if (op.q.type == ElementType::Bf16)
    decode(std::integral_constant<int, 8>{});
  else
    decode(std::integral_constant<int, 4>{});
  issue<32>(queue, units,
            JoinParts{s, parts.count, queries, units, partial_out, partial_max, partial_sum, op.out,
                      op.log_sum_exp.data()});
}

}  // namespace meshplan::kernels::cuda
