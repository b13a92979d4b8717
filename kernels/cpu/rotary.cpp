#include "kernels/rotary.h"

#include <cmath>

#include "kernels/cpu/columns.h"
#include "kernels/cpu/queue.h"
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
        for_each_column<T>(
            0, half, [&](auto at) __attribute__((always_inline)) {
              const auto a = at.load(in), b = at.load(in + half);
              const auto cos = at.load(cosines), sin = direction * at.load(sines);
              at.store(out, a * cos - b * sin);
              at.store(out + half, b * cos + a * sin);
            });
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
