#include "kernels/cuda/attention_rows.h"
#include "kernels/cuda/math.h"
#include "kernels/cuda/row.h"

namespace meshplan::kernels::cuda {
namespace {

constexpr int kWidth = 4;  // scores are F32

/// Which query a row of the block is.
struct RowOfBlock {
  ScoreBlock block;
  Divider queries;

  struct Query {
    std::int64_t head, position;
    std::int64_t visible;    ///< keys 0 .. visible - 1
    std::int64_t statistic;  ///< index in log_sum_exp
    std::int64_t row;        ///< in out
    std::int64_t column;     ///< first of the head in out
  };

  MESHPLAN_DEVICE Query query(std::int64_t row) const {
    const AttentionShape& s = block.shape;
    const std::int64_t head_of_block = queries.quotient(static_cast<std::uint32_t>(row));
    const std::int64_t i = block.first_query + row - head_of_block * block.queries;
    const std::int64_t head =
        (block.first_key_head + head_of_block) * (s.heads / s.kv_heads) + block.member;
    std::int64_t visible = s.causal ? s.query_offset + i + 1 : block.keys;
    visible = visible < 0 ? 0 : visible > block.keys ? block.keys : visible;
    return {head,
            s.query_offset + i,
            visible,
            (block.sequence * s.heads + head) * s.query_len + i,
            block.sequence * s.query_len + i,
            head * s.head_dim};
  }
};

/// How many elements of a chunk come before column `visible`.
MESHPLAN_DEVICE int seen(const Place& place, std::int64_t visible) {
  const std::int64_t count = visible - place.column;
  return count < 0 ? 0 : count < place.end ? static_cast<int>(count) : place.end;
}

/// m of the contract for one row. A thread has neighbouring columns, whose words come from calls of
/// threefry of their own: one word in four of those drawn is used.
struct Kept {
  AttentionDropout dropout;
  std::uint32_t threshold;
  float factor;

  explicit Kept(const AttentionDropout& d)
      : dropout(d),
        threshold(dropout_threshold(d.probability)),
        factor(1.0F / (1.0F - d.probability)) {}

  MESHPLAN_DEVICE float operator()(const RowOfBlock& rows, const RowOfBlock::Query& query,
                                   std::int64_t key) const {
    if (!dropout.drops()) return 1.0F;
    const std::uint64_t row = dropout.row(rows.block.sequence, query.head, query.position);
    return random_word(dropout.key, row, key) >= threshold ? factor : 0.0F;
  }
};

struct Softmax {
  RowShape shape;
  RowOfBlock rows;
  Kept kept;
  Input scores;
  Output p;
  float* log_sum_exp;

  struct State {
    Words words[kKeptChunks];
    float value;
  };

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    const std::uint32_t rounds = shape.rounds<G>();
    for (std::int64_t row = group.index(); row < shape.rows; row += group.count()) {
      const RowOfBlock::Query query = rows.query(row);
      typename G::template PerLane<State> state;
      group.each(state, [&](int lane, State& s) {
        s.value = -infinity();
        for (std::uint32_t round = 0; round < rounds; ++round) {
          shape.load_round<kWidth, G>(scores, row, round, lane, s.words);
          for_seen<G>(s, row, round, lane, query.visible,
                      [&](float value) { s.value = value > s.value ? value : s.value; });
        }
      });
      const float max = group.reduce(
          state, [](const State& s) { return s.value; },
          [](float a, float b) { return a > b ? a : b; });
      group.each(state, [&](int lane, State& s) {
        s.value = 0;
        for (std::uint32_t round = 0; round < rounds; ++round) {
          if (rounds > 1) shape.load_round<kWidth, G>(scores, row, round, lane, s.words);
          for_seen<G>(s, row, round, lane, query.visible,
                      [&](float value) { s.value += exponential(value - max); });
        }
      });
      const float total = sum(group, state, [](const State& s) { return s.value; });
      const float share = query.visible > 0 ? 1.0F / total : 0.0F;
      group.each(state, [&](int lane, State& s) {
        for (std::uint32_t round = 0; round < rounds; ++round) {
          if (rounds > 1) shape.load_round<kWidth, G>(scores, row, round, lane, s.words);
#pragma unroll
          for (int j = 0; j < kKeptChunks; ++j) {
            const Place place = shape.place<kWidth, G>(row, round, j, lane);
            if (place.end == 0) continue;
            const int end = seen(place, query.visible);
            float values[kWidth];
            unpack<kWidth>(s.words[j], scores.type, values);
#pragma unroll
            for (int i = 0; i < kWidth; ++i)
              values[i] = i < end ? exponential(values[i] - max) * share *
                                        kept(rows, query, place.column + i)
                                  : 0.0F;
            store<kWidth>(p, place, shape.aligned, values);
          }
        }
        if (lane == 0)
          log_sum_exp[query.statistic] = query.visible > 0 ? max + logarithm(total) : -infinity();
      });
    }
  }

  /// visit(score) for each score of a lane's round that the query sees.
  template <class G, class Visit>
  MESHPLAN_DEVICE void for_seen(const State& s, std::int64_t row, std::uint32_t round, int lane,
                                std::int64_t visible, Visit visit) const {
#pragma unroll
    for (int j = 0; j < kKeptChunks; ++j) {
      const int end = seen(shape.place<kWidth, G>(row, round, j, lane), visible);
      float values[kWidth];
      unpack<kWidth>(s.words[j], scores.type, values);
#pragma unroll
      for (int i = 0; i < kWidth; ++i)
        if (i < end) visit(values[i]);
    }
  }
};

struct ScoreGradient {
  RowShape shape;
  RowOfBlock rows;
  Kept kept;
  Input scores, dp, out, dout;
  const float* log_sum_exp;
  Output p, ds;

  struct State {
    float product;
  };

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    for (std::int64_t row = group.index(); row < shape.rows; row += group.count()) {
      const RowOfBlock::Query query = rows.query(row);
      typename G::template PerLane<State> state;
      group.each(state, [&](int lane, State& s) {
        s.product = 0;
        for (std::int64_t d = lane; d < rows.block.shape.head_dim; d += G::lanes)
          s.product += load_element(out, query.row * out.row_stride + query.column + d) *
                       load_element(dout, query.row * dout.row_stride + query.column + d);
      });
      const float correction = sum(group, state, [](const State& s) { return s.product; });
      const float of_row = log_sum_exp[query.statistic];
      group.each([&](int lane) {
        Words of_scores[kKeptChunks], of_dp[kKeptChunks];
        for (std::uint32_t round = 0; round < shape.rounds<G>(); ++round) {
          shape.load_round<kWidth, G>(scores, row, round, lane, of_scores);
          shape.load_round<kWidth, G>(dp, row, round, lane, of_dp);
#pragma unroll
          for (int j = 0; j < kKeptChunks; ++j) {
            const Place place = shape.place<kWidth, G>(row, round, j, lane);
            if (place.end == 0) continue;
            const int end = seen(place, query.visible);
            float probability[kWidth], gradient[kWidth];
            unpack<kWidth>(of_scores[j], scores.type, probability);
            unpack<kWidth>(of_dp[j], dp.type, gradient);
#pragma unroll
            for (int i = 0; i < kWidth; ++i) {
              const float e = i < end ? exponential(probability[i] - of_row) : 0.0F;
              const float m = i < end ? kept(rows, query, place.column + i) : 0.0F;
              probability[i] = m * e;
              gradient[i] = i < end ? e * (m * gradient[i] - correction) : 0.0F;
            }
            store<kWidth>(p, place, shape.aligned, probability);
            store<kWidth>(ds, place, shape.aligned, gradient);
          }
        }
      });
    }
  }
};

template <class Kernel>
void issue_block(Queue& queue, const Kernel& kernel) {
  if (row_lanes(kernel.shape.chunks) == 32)
    issue<32>(queue, kernel.shape.rows, kernel);
  else
    issue<256>(queue, kernel.shape.rows, kernel);
}

}  // namespace

void softmax(const ScoreBlock& block, const AttentionDropout& dropout,
             const ConstTensorView& scores, const TensorView& p, float* log_sum_exp, Queue& queue) {
  if (block.rows() == 0) return;
  issue_block(queue, Softmax{RowShape(block.rows(), chunks_of(1, block.keys, {scores, p})),
                             {block, Divider(block.queries)},
                             Kept(dropout),
                             scores,
                             p,
                             log_sum_exp});
}

void score_gradient(const ScoreBlock& block, const AttentionDropout& dropout,
                    const ConstTensorView& scores, const ConstTensorView& dp,
                    const ConstTensorView& out, const ConstTensorView& dout,
                    const float* log_sum_exp, const TensorView& p, const TensorView& ds,
                    Queue& queue) {
  if (block.rows() == 0) return;
  issue_block(queue,
              ScoreGradient{RowShape(block.rows(), chunks_of(1, block.keys, {scores, dp, p, ds})),
                            {block, Divider(block.queries)},
                            Kept(dropout),
                            scores,
                            dp,
                            out,
                            dout,
                            log_sum_exp,
                            p,
                            ds});
}

}  // namespace meshplan::kernels::cuda
