#include "kernels/layer_norm.h"

#include <cmath>

#include "kernels/cpu/column_sum.h"
#include "kernels/cpu/columns.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/queue.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cpu {
namespace {

struct Forward {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> x, const float* gamma, const float* beta,
                                  float epsilon, Matrix<T> y, float* means, float* rstds) {
    const float share = 1.0F / static_cast<float>(x.cols);
    for (std::int64_t r = 0; r < x.rows; ++r) {
      const T* in = x.row(r);
      T* out = y.row(r);
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t c = 0; c < x.cols; ++c) sum += load(in[c]);
      // The first mean carries the rounding of a long sum; the deviations around it give the rest.
      const float rough_mean = sum * share;
      float deviations = 0, squares = 0;
#pragma omp simd reduction(+ : deviations, squares)
      for (std::int64_t c = 0; c < x.cols; ++c) {
        const float deviation = load(in[c]) - rough_mean;
        deviations += deviation;
        squares += deviation * deviation;
      }
      const float rest = deviations * share;
      const float mean = rough_mean + rest;
      const float rstd = 1.0F / std::sqrt(squares * share - rest * rest + epsilon);
      for_each_column<T>(0, x.cols, [&](auto at) __attribute__((always_inline)) {
        at.store(out, rstd * (at.load(in) - mean) * at.load(gamma) + at.load(beta));
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
            Lanes sums_g = {}, sums_gh = {};
            float sum_g = 0, sum_gh = 0;
            std::int64_t c = 0;
            for (; c + kLanes <= cols; c += kLanes) {
              Lanes d, scale, h;
              load_lanes(gradient + c, d);
              load_lanes(gamma + c, scale);
              load_lanes(in + c, h);
              d *= scale;
              sums_g += d;
              sums_gh += d * (h - row_mean);
            }
            for (; c < cols; ++c) {
              const float g = load(gradient[c]) * gamma[c];
              sum_g += g;
              sum_gh += g * (load(in[c]) - row_mean);
            }
            mean_g[k] = share * (sum_g + total(sums_g));
            mean_gh[k] = share * rstd[k] * (sum_gh + total(sums_gh));
          }
          const T* in = x.row(first);
          const T* gradient = dy.row(first);
          T* out = dx.row(first);
          const std::int64_t in_stride = x.stride, gradient_stride = dy.stride,
                             out_stride = dx.stride;
          for (std::int64_t begin = 0; begin < cols; begin += kStretch) {
            const std::int64_t end = begin + kStretch < cols ? begin + kStretch : cols;
            prefetch_columns(x, first + count, count, begin, end - begin);
            prefetch_columns(dy, first + count, count, begin, end - begin);
            for_each_column<T>(begin, end, [&](auto at) __attribute__((always_inline)) {
              const auto scale = at.load(gamma);
              decltype(at.load(gamma)) sum_gamma = {}, sum_beta = {};
              for (std::int64_t k = 0; k < count; ++k) {
                const auto h = rstd[k] * (at.load(in + k * in_stride) - mean[k]);
                const auto d = at.load(gradient + k * gradient_stride);
                sum_gamma += d * h;
                sum_beta += d;
                at.store(out + k * out_stride, rstd[k] * (d * scale - mean_g[k] - mean_gh[k] * h));
              }
              at.store(dgamma, at.load(dgamma) + sum_gamma);
              at.store(dbeta, at.load(dbeta) + sum_beta);
            });
          }
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
