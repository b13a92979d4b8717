#include "kernels/rotary.h"

#include <cmath>

#include "kernels/cpu/queue.h"
#include "kernels/cpu/vector.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::cpu {
namespace {

struct RotateRows {
  template <class T>
  MESHPLAN_INLINE static void run(Matrix<const T> x, Matrix<T> y, Matrix<const float> cosine,
                                  Matrix<const float> sine, std::int64_t head_dim,
                                  std::int64_t sequence_len, std::int64_t first_position,
                                  float direction) {
    const std::int64_t half = cosine.cols;
    for (std::int64_t r = 0; r < x.rows; ++r) {
      const float* cosines = cosine.row(first_position + r % sequence_len);
      const float* sines = sine.row(first_position + r % sequence_len);
      for (std::int64_t head = 0; head < x.cols; head += head_dim) {
        const T* in = x.row(r) + head;
        T* out = y.row(r) + head;
#pragma omp simd
        for (std::int64_t i = 0; i < half; ++i) {
          const float a = load(in[i]), b = load(in[half + i]);
          const float s = direction * sines[i];
          out[i] = rounded<T>(a * cosines[i] - b * s);
          out[half + i] = rounded<T>(b * cosines[i] + a * s);
        }
        for (std::int64_t i = 2 * half; i < head_dim; ++i) out[i] = in[i];
      }
    }
  }
};

}  // namespace

void run(const RotaryTable& op, Queue&) {
  check_shapes(op);
  const Matrix<float> cosine = matrix<float>(op.cosine), sine = matrix<float>(op.sine);
  for (std::int64_t i = 0; i < cosine.cols; ++i) {
    const double frequency =
        std::pow(op.theta, -static_cast<double>(i) / static_cast<double>(cosine.cols));
    for (std::int64_t p = 0; p < cosine.rows; ++p) {
      const double angle = static_cast<double>(op.first_position + p) * frequency;
      cosine.row(p)[i] = static_cast<float>(std::cos(angle));
      sine.row(p)[i] = static_cast<float>(std::sin(angle));
    }
  }
}

void run(const Rotary& op, Queue& queue) {
  check_shapes(op);
  with_type(op.x.type, [&]<class T>(T) {
    vectorised<RotateRows>(queue.state().instruction_set, matrix<T>(op.x), matrix<T>(op.y),
                           matrix<float>(op.cosine), matrix<float>(op.sine), op.head_dim,
                           op.sequence_len, op.first_position, op.inverse ? -1.0F : 1.0F);
  });
}

}  // namespace meshplan::kernels::cpu
