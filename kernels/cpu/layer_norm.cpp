#include "kernels/layer_norm.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/column_sum.h"
#include "kernels/cpu/prefetch.h"
#include "kernels/cpu/queue.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cpu {
namespace {

struct Forward {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> x, const float* gamma, const float* beta,
                                  float epsilon, Matrix<T> y, float* means, float* rstds) {
    const float share = 1.0F / static_cast<float>(x.cols);
    // Deviations are taken from the mean of the first columns, which saves a pass over the rest.
    // The variance is the mean of their squares less the square of their mean. A sixteenth of the
    // columns bounds what cancels: the sample's own deviations from the true mean make the variance
    // at least 1/16 of that square, so that at most 4 of 24 bits are lost, and none as a rule.
    const std::int64_t sample = std::min(x.cols, std::max<std::int64_t>(64, x.cols / 16));
    for (std::int64_t r = 0; r < x.rows; ++r) {
      const T* in = x.row(r);
      T* out = y.row(r);
      ColumnSums sum;
      sum_columns<T>(
          0, sample, [&](auto at, std::int64_t i) __attribute__((always_inline)) {
            add_to(sum, i, at.load(in));
          });
      const float rough_mean = sum.total() / static_cast<float>(sample);
      ColumnSums deviations, squares;
      sum_columns<T>(
          0, x.cols, [&](auto at, std::int64_t i) __attribute__((always_inline)) {
            const auto deviation = at.load(in) - rough_mean;
            add_to(deviations, i, deviation);
            add_to(squares, i, deviation * deviation);
          });
      const float rest = deviations.total() * share;
      const float mean = rough_mean + rest;
      const float rstd = 1.0F / std::sqrt(squares.total() * share - rest * rest + epsilon);
      for_each_stretch(
          x.cols, [&](std::int64_t begin, auto size) __attribute__((always_inline)) {
            prefetch_columns(x, r + 1, 1, begin, size);
            for_each_column<T>(
                begin, begin + size, [&](auto at) __attribute__((always_inline)) {
                  at.store(out, rstd * (at.load(in) - mean) * at.load(gamma) + at.load(beta));
                });
          });
      means[r] = mean;
      rstds[r] = rstd;
    }
  }
};

struct Backward {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> x, Matrix<const T> dy, const float* gamma,
                                  const float* means, const float* rstds, Matrix<T> dx,
                                  float* dgamma, float* dbeta) {
    const std::int64_t cols = x.cols;
    const float share = 1.0F / static_cast<float>(cols);
    for_each_row_block<4>(
        x.rows, [&](std::int64_t first, auto count) __attribute__((always_inline)) {
          float mean[count], rstd[count], mean_g[count], mean_gh[count];
          for (std::int64_t k = 0; k < count; ++k) {
            const T* in = x.row(first + k);
            const T* gradient = dy.row(first + k);
            const float row_mean = means[first + k];
            mean[k] = row_mean;
            rstd[k] = rstds[first + k];
            ColumnSums sum_g, sum_gh;
            sum_columns<T>(
                0, cols, [&](auto at, std::int64_t i) __attribute__((always_inline)) {
                  const auto g = at.load(gradient) * at.load(gamma);
                  add_to(sum_g, i, g);
                  add_to(sum_gh, i, g * (at.load(in) - row_mean));
                });
            mean_g[k] = share * sum_g.total();
            mean_gh[k] = share * rstd[k] * sum_gh.total();
          }
          const T* in = x.row(first);
          const T* gradient = dy.row(first);
          T* out = dx.row(first);
          const std::int64_t in_stride = x.stride, gradient_stride = dy.stride,
                             out_stride = dx.stride;
          for_each_stretch(
              cols, [&](std::int64_t begin, auto size) __attribute__((always_inline)) {
                prefetch_columns(x, first + count, count, begin, size);
                prefetch_columns(dy, first + count, count, begin, size);
                for_each_column<T>(
                    begin, begin + size, [&](auto at) __attribute__((always_inline)) {
                      const auto scale = at.load(gamma);
                      decltype(at.load(gamma)) sum_gamma = {}, sum_beta = {},
                                               results[decltype(count)::value];
                      for (std::int64_t k = 0; k < count; ++k) {
                        const auto h = rstd[k] * (at.load(in + k * in_stride) - mean[k]);
                        const auto d = at.load(gradient + k * gradient_stride);
                        sum_gamma += d * h;
                        sum_beta += d;
                        results[k] = rstd[k] * (d * scale - mean_g[k] - mean_gh[k] * h);
                      }
                      for (std::int64_t k = 0; k < count; ++k)
                        at.store(out + k * out_stride, results[k]);
                      at.store(dgamma, at.load(dgamma) + sum_gamma);
                      at.store(dbeta, at.load(dbeta) + sum_beta);
                    });
              });
        });
  }
};

}  // namespace

void run(const LayerNormForward& op, Queue& queue) {
  check_shapes(op);
  auto& scratch = queue.state().scratch;
  const ConstTensorView gamma = as_floats(op.gamma, scratch[0], queue);
  const ConstTensorView beta = as_floats(op.beta, scratch[1], queue);
  with_type(op.x.type, [&]<class T>(T) {
    vectorised<Forward>(queue.state().instruction_set, matrix<T>(op.x), matrix<float>(gamma).data,
                        matrix<float>(beta).data, op.epsilon, matrix<T>(op.y), op.mean.data(),
                        op.rstd.data());
  });
}

void run(const LayerNormBackward& op, Queue& queue) {
  check_shapes(op);
  auto& scratch = queue.state().scratch;
  const ConstTensorView gamma = as_floats(op.gamma, scratch[0], queue);
  // Parameters that are not trained: the sums go where nobody reads them.
  float* dgamma = op.dgamma.empty() ? scratch[1].floats(op.x.cols) : matrix<float>(op.dgamma).data;
  float* dbeta = op.dbeta.empty() ? scratch[2].floats(op.x.cols) : matrix<float>(op.dbeta).data;
  if (op.dgamma.empty()) {
    run(Fill{vector_view(dgamma, op.x.cols)}, queue);
    run(Fill{vector_view(dbeta, op.x.cols)}, queue);
  }
  with_type(op.x.type, [&]<class T>(T) {
    vectorised<Backward>(queue.state().instruction_set, matrix<T>(op.x), matrix<T>(op.dy),
                         matrix<float>(gamma).data, op.mean.data(), op.rstd.data(),
                         matrix<T>(op.dx), dgamma, dbeta);
  });
}

}  // namespace meshplan::kernels::cpu
