#include "kernels/attention.h"

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/reference/element.h"
#include "kernels/reference/kernels.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::reference {
namespace {

/// One query of one head: where its rows and columns lie, and the keys it sees.
struct Query {
  std::int64_t sequence = 0, head = 0, position = 0;
  std::int64_t row = 0;         ///< in q, out, dq
  std::int64_t column = 0;      ///< first of the head in q, out, dq
  std::int64_t key_row = 0;     ///< row of key 0 in k, v, dk, dv
  std::int64_t key_column = 0;  ///< first of the key head
  std::int64_t visible = 0;     ///< keys 0 .. visible - 1
  std::size_t statistic = 0;    ///< index in log_sum_exp
};

template <class Visit>
void for_each_query(const AttentionShape& s, std::int64_t kv_rows, Visit visit) {
  for (std::int64_t b = 0; b < s.batch; ++b)
    for (std::int64_t h = 0; h < s.heads; ++h)
      for (std::int64_t i = 0; i < s.query_len; ++i)
        visit(Query{.sequence = b,
                    .head = h,
                    .position = s.query_offset + i,
                    .row = b * s.query_len + i,
                    .column = h * s.head_dim,
                    .key_row = b * (kv_rows / s.batch),
                    .key_column = h / (s.heads / s.kv_heads) * s.head_dim,
                    .visible = s.causal
                                   ? std::clamp<std::int64_t>(s.query_offset + i + 1, 0, s.kv_len)
                                   : s.kv_len,
                    .statistic = static_cast<std::size_t>((b * s.heads + h) * s.query_len + i)});
}

/// What dropout multiplies the probability of key `j` by.
double kept(const AttentionDropout& dropout, const Query& query, std::int64_t j) {
  if (!dropout.drops()) return 1;
  const std::uint64_t row = dropout.row(query.sequence, query.head, query.position);
  const bool keep = random_word(dropout.key, row, j) >= dropout_threshold(dropout.probability);
  return keep ? 1 / (1 - static_cast<double>(dropout.probability)) : 0;
}

/// sum_d a[a_row, a_column + d] * b[b_row, b_column + d]
double dot(const ConstTensorView& a, std::int64_t a_row, std::int64_t a_column,
           const ConstTensorView& b, std::int64_t b_row, std::int64_t b_column, std::int64_t size) {
  double sum = 0;
  for (std::int64_t d = 0; d < size; ++d)
    sum += at(a, a_row, a_column + d) * at(b, b_row, b_column + d);
  return sum;
}

}  // namespace

void run(const AttentionForward& op, Queue&) {
  check_shapes(op);
  const AttentionShape& s = op.shape;
  const double scale = static_cast<double>(s.scale);
  for_each_query(s, op.k.rows, [&](const Query& query) {
    std::vector<double> score(static_cast<std::size_t>(query.visible));
    double max = -std::numeric_limits<double>::infinity();
    for (std::int64_t j = 0; j < query.visible; ++j) {
      const double x = scale * dot(op.q, query.row, query.column, op.k, query.key_row + j,
                                   query.key_column, s.head_dim);
      score[static_cast<std::size_t>(j)] = x;
      max = std::max(max, x);
    }
    double sum = 0;
    for (const double x : score) sum += std::exp(x - max);
    const double log_sum_exp = query.visible == 0 ? max : max + std::log(sum);
    op.log_sum_exp[query.statistic] = static_cast<float>(log_sum_exp);
    for (std::int64_t j = 0; j < query.visible; ++j) {
      double& p = score[static_cast<std::size_t>(j)];
      p = kept(op.dropout, query, j) * std::exp(p - log_sum_exp);
    }
    for (std::int64_t d = 0; d < s.head_dim; ++d) {
      double value = 0;
      for (std::int64_t j = 0; j < query.visible; ++j)
        value +=
            score[static_cast<std::size_t>(j)] * at(op.v, query.key_row + j, query.key_column + d);
      store(op.out, query.row, query.column + d, value);
    }
  });
}

void run(const AttentionBackward& op, Queue&) {
  check_shapes(op);
  const AttentionShape& s = op.shape;
  const double scale = static_cast<double>(s.scale);
  // Sums over queries stay in double until the end.
  const std::int64_t kv_cols = s.kv_heads * s.head_dim;
  const std::int64_t capacity = op.k.rows / s.batch;
  std::vector<double> dk(static_cast<std::size_t>(op.k.rows * kv_cols)), dv(dk.size());
  const auto index = [&](std::int64_t row, std::int64_t column) {
    return static_cast<std::size_t>(row * kv_cols + column);
  };
  for_each_query(s, op.k.rows, [&](const Query& query) {
    const double log_sum_exp = static_cast<double>(op.log_sum_exp[query.statistic]);
    const double correction =
        dot(op.out, query.row, query.column, op.dout, query.row, query.column, s.head_dim);
    std::vector<double> dq(static_cast<std::size_t>(s.head_dim));
    for (std::int64_t j = 0; j < query.visible; ++j) {
      const std::int64_t row = query.key_row + j;
      const double score =
          scale * dot(op.q, query.row, query.column, op.k, row, query.key_column, s.head_dim);
      const double p = std::exp(score - log_sum_exp);
      const double m = kept(op.dropout, query, j);
      const double dp =
          m * dot(op.dout, query.row, query.column, op.v, row, query.key_column, s.head_dim);
      const double ds = p * (dp - correction);
      for (std::int64_t d = 0; d < s.head_dim; ++d) {
        const std::int64_t column = query.key_column + d;
        dv[index(row, column)] += m * p * at(op.dout, query.row, query.column + d);
        dk[index(row, column)] += scale * ds * at(op.q, query.row, query.column + d);
        dq[static_cast<std::size_t>(d)] += scale * ds * at(op.k, row, column);
      }
    }
    for (std::int64_t d = 0; d < s.head_dim; ++d)
      store(op.dq, query.row, query.column + d, dq[static_cast<std::size_t>(d)]);
  });
  for (std::int64_t b = 0; b < s.batch; ++b) {
    for (std::int64_t j = 0; j < s.kv_len; ++j) {
      for (std::int64_t c = 0; c < kv_cols; ++c) {
        const std::int64_t row = b * capacity + j;
        store(op.dk, b * (op.dk.rows / s.batch) + j, c, dk[index(row, c)]);
        store(op.dv, b * (op.dv.rows / s.batch) + j, c, dv[index(row, c)]);
      }
    }
  }
}

void run(const AttentionMerge& op, Queue&) {
  check_shapes(op);
  const AttentionShape& s = op.shape;
  for_each_query(s, s.batch, [&](const Query& query) {
    const auto mine = static_cast<double>(op.log_sum_exp[query.statistic]);
    const auto other = static_cast<double>(op.other_log_sum_exp[query.statistic]);
    const double max = std::max(mine, other);
    if (std::isinf(max)) return;  // neither side saw a key: out stays 0
    const double joined = max + std::log(std::exp(mine - max) + std::exp(other - max));
    for (std::int64_t d = 0; d < s.head_dim; ++d) {
      const std::int64_t c = query.column + d;
      store(op.out, query.row, c,
            at(op.out, query.row, c) * std::exp(mine - joined) +
                at(op.other, query.row, c) * std::exp(other - joined));
    }
    op.log_sum_exp[query.statistic] = static_cast<float>(joined);
  });
}

}  // namespace meshplan::kernels::reference
