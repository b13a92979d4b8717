#include "kernels/cuda/kernels.h"
#include "kernels/cuda/math.h"
#include "kernels/cuda/row.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cuda {
namespace {

/// A warp a query of a head.
struct Merge {
  AttentionShape shape;
  std::int64_t queries;  ///< of all heads and sequences
  Input other;
  const float* other_log_sum_exp;
  Output out;
  float* log_sum_exp;

  struct State {
    float mine;
  };

  template <class G>
  MESHPLAN_DEVICE void operator()(G& group) const {
    for (std::int64_t statistic = group.index(); statistic < queries; statistic += group.count()) {
      const std::int64_t i = statistic % shape.query_len;
      const std::int64_t head = statistic / shape.query_len % shape.heads;
      const std::int64_t row = statistic / shape.query_len / shape.heads * shape.query_len + i;
      typename G::template PerLane<State> state;
      group.each(state, [&](int, State& s) { s.mine = log_sum_exp[statistic]; });
      // All lanes have read the statistic, which one of them will overwrite.
      const float mine = group.reduce(
          state, [](const State& s) { return s.mine; }, [](float a, float) { return a; });
      const float theirs = other_log_sum_exp[statistic];
      const float max = mine > theirs ? mine : theirs;
      if (max == -infinity()) continue;  // neither side saw a key: out stays 0
      const float joined = max + logarithm(exponential(mine - max) + exponential(theirs - max));
      const float share = exponential(mine - joined), other_share = exponential(theirs - joined);
      group.each([&](int lane) {
        const Input before = as_input(out);
        for (std::int64_t d = lane; d < shape.head_dim; d += G::lanes) {
          const std::int64_t column = head * shape.head_dim + d;
          store_element(out, row * out.row_stride + column,
                        load_element(before, row * out.row_stride + column) * share +
                            load_element(other, row * other.row_stride + column) * other_share);
        }
        if (lane == 0) log_sum_exp[statistic] = joined;
      });
    }
  }
};

}  // namespace

void run(const AttentionMerge& op, Queue& queue) {
  check_shapes(op);
  const AttentionShape& s = op.shape;
  const std::int64_t queries = s.batch * s.heads * s.query_len;
  issue<32>(
      queue, queries,
      Merge{s, queries, op.other, op.other_log_sum_exp.data(), op.out, op.log_sum_exp.data()});
}

}  // namespace meshplan::kernels::cuda
