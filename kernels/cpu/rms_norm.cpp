#include "kernels/rms_norm.h"

#include <cmath>

#include "kernels/cpu/column_sum.h"
#include "kernels/cpu/prefetch.h"
#include "kernels/cpu/queue.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cpu {
namespace {

struct Forward {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> x, const float* gamma, float epsilon, Matrix<T> y,
                                  float* rstds) {
    const float share = 1.0F / static_cast<float>(x.cols);
    for (std::int64_t r = 0; r < x.rows; ++r) {
      const T* in = x.row(r);
      T* out = y.row(r);
      ColumnSums squares;
      sum_columns<T>(
          0, x.cols, [&](auto at, std::int64_t i) __attribute__((always_inline)) {
            add_to(squares, i, at.load(in) * at.load(in));
          });
      const float rstd = 1.0F / std::sqrt(squares.total() * share + epsilon);
      for_each_stretch(
          x.cols, [&](std::int64_t begin, auto size) __attribute__((always_inline)) {
            prefetch_columns(x, r + 1, 1, begin, size);
            for_each_column<T>(
                begin, begin + size, [&](auto at) __attribute__((always_inline)) {
                  at.store(out, rstd * at.load(in) * at.load(gamma));
                });
          });
      rstds[r] = rstd;
    }
  }
};

struct Backward {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> x, Matrix<const T> dy, const float* gamma,
                                  const float* rstds, Matrix<T> dx, float* dgamma) {
    const std::int64_t cols = x.cols;
    const float share = 1.0F / static_cast<float>(cols);
    for_each_row_block<4>(
        x.rows, [&](std::int64_t first, auto count) __attribute__((always_inline)) {
          float rstd[count], mean_gh[count];
          for (std::int64_t k = 0; k < count; ++k) {
            const T* in = x.row(first + k);
            const T* gradient = dy.row(first + k);
            ColumnSums gx;
            sum_columns<T>(
                0, cols, [&](auto at, std::int64_t i) __attribute__((always_inline)) {
                  add_to(gx, i, at.load(gradient) * at.load(gamma) * at.load(in));
                });
            rstd[k] = rstds[first + k];
            mean_gh[k] = share * rstd[k] * gx.total();
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
                      decltype(at.load(gamma)) sum_gamma = {}, results[decltype(count)::value];
                      for (std::int64_t k = 0; k < count; ++k) {
                        const auto h = rstd[k] * at.load(in + k * in_stride);
                        const auto d = at.load(gradient + k * gradient_stride);
                        sum_gamma += d * h;
                        results[k] = rstd[k] * (d * scale - mean_gh[k] * h);
                      }
                      for (std::int64_t k = 0; k < count; ++k)
                        at.store(out + k * out_stride, results[k]);
                      at.store(dgamma, at.load(dgamma) + sum_gamma);
                    });
              });
        });
  }
};

}  // namespace

void run(const RmsNormForward& op, Queue& queue) {
  check_shapes(op);
  const ConstTensorView gamma = as_floats(op.gamma, queue.state().scratch[0], queue);
  with_type(op.x.type, [&]<class T>(T) {
    vectorised<Forward>(queue.state().instruction_set, matrix<T>(op.x), matrix<float>(gamma).data,
                        op.epsilon, matrix<T>(op.y), op.rstd.data());
  });
}

void run(const RmsNormBackward& op, Queue& queue) {
  check_shapes(op);
  auto& scratch = queue.state().scratch;
  const ConstTensorView gamma = as_floats(op.gamma, scratch[0], queue);
  // Parameters that are not trained: the sums go where nobody reads them.
  float* dgamma = op.dgamma.empty() ? scratch[1].floats(op.x.cols) : matrix<float>(op.dgamma).data;
  if (op.dgamma.empty()) run(Fill{vector_view(dgamma, op.x.cols)}, queue);
  with_type(op.x.type, [&]<class T>(T) {
    vectorised<Backward>(queue.state().instruction_set, matrix<T>(op.x), matrix<T>(op.dy),
                         matrix<float>(gamma).data, op.rstd.data(), matrix<T>(op.dx), dgamma);
  });
}

}  // namespace meshplan::kernels::cpu
