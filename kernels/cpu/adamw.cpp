#include "kernels/adamw.h"

#include <cmath>

#include "kernels/cpu/queue.h"
#include "kernels/cpu/vector.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cpu {
namespace {

/// AdamW's scalars, with the corrections of the step worked in.
struct Factors {
  float beta1, beta2, inverse_correction1, inverse_correction2;
  float epsilon, learning_rate, weight_decay, gradient_scale;
};

template <bool kCopies>
struct UpdateRows {
  template <class G, class C>
  MESHPLAN_INLINE static void run(Matrix<float> parameter, Matrix<float> first,
                                  Matrix<float> second, Matrix<const G> gradient, Matrix<C> copy,
                                  Factors f) {
    for (std::int64_t r = 0; r < parameter.rows; ++r) {
      float* p = parameter.row(r);
      float* m = first.row(r);
      float* v = second.row(r);
      const G* gradients = gradient.row(r);
      C* copies = kCopies ? copy.row(r) : nullptr;
#pragma omp simd
      for (std::int64_t c = 0; c < parameter.cols; ++c) {
        const float g = f.gradient_scale * load(gradients[c]);
        m[c] = f.beta1 * m[c] + (1 - f.beta1) * g;
        v[c] = f.beta2 * v[c] + (1 - f.beta2) * g * g;
        const float direction =
            m[c] * f.inverse_correction1 / (std::sqrt(v[c] * f.inverse_correction2) + f.epsilon);
        p[c] -= f.learning_rate * (direction + f.weight_decay * p[c]);
        if constexpr (kCopies) copies[c] = rounded<C>(p[c]);
      }
    }
  }
};

struct SumSquares {
  /// Four running sums, one a quarter of the row, so that additions do not wait for each other.
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> x, double* sum) {
    for (std::int64_t r = 0; r < x.rows; ++r) {
      const T* in = x.row(r);
      const std::int64_t quarter = x.cols / 4;
      double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
      for (std::int64_t c = 0; c < quarter; ++c) {
        s0 += square(in[c]);
        s1 += square(in[quarter + c]);
        s2 += square(in[2 * quarter + c]);
        s3 += square(in[3 * quarter + c]);
      }
      for (std::int64_t c = 4 * quarter; c < x.cols; ++c) s0 += square(in[c]);
      *sum += (s0 + s1) + (s2 + s3);
    }
  }

  template <class T>
  MESHPLAN_INLINE static double square(T value) {
    const auto wide = static_cast<double>(load(value));
    return wide * wide;
  }
};

}  // namespace

void run(const AdamW& op, Queue& queue) {
  check_shapes(op);
  const double correction1 = 1 - std::pow(static_cast<double>(op.beta1), op.step);
  const double correction2 = 1 - std::pow(static_cast<double>(op.beta2), op.step);
  const Factors factors{op.beta1,
                        op.beta2,
                        static_cast<float>(1 / correction1),
                        static_cast<float>(1 / correction2),
                        op.epsilon,
                        op.learning_rate,
                        op.weight_decay,
                        op.gradient_scale};
  const InstructionSet set = queue.state().instruction_set;
  const auto update = [&]<class Body, class G, class C>(Body, G, C) {
    vectorised<Body>(set, matrix<float>(op.parameter), matrix<float>(op.first_moment),
                     matrix<float>(op.second_moment), matrix<G>(op.gradient), matrix<C>(op.copy),
                     factors);
  };
  with_type(op.gradient.type, [&]<class G>(G gradient) {
    if (op.copy.empty()) return update(UpdateRows<false>{}, gradient, float{});
    with_type(op.copy.type, [&]<class C>(C copy) { update(UpdateRows<true>{}, gradient, copy); });
  });
}

void run(const SumOfSquares& op, Queue& queue) {
  check_shapes(op);
  if (op.x.rows > 1 && op.x.contiguous()) return run(SumOfSquares{one_row(op.x), op.sum}, queue);
  with_type(op.x.type, [&]<class T>(T) {
    vectorised<SumSquares>(queue.state().instruction_set, matrix<T>(op.x), op.sum);
  });
}

}  // namespace meshplan::kernels::cpu
