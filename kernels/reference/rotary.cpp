#include "kernels/rotary.h"

#include <cmath>

#include "kernels/reference/element.h"
#include "kernels/reference/kernels.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::reference {

void run(const RotaryTable& op, Queue&) {
  check_shapes(op);
  const auto half = static_cast<double>(op.cosine.cols);
  for (std::int64_t p = 0; p < op.cosine.rows; ++p) {
    for (std::int64_t i = 0; i < op.cosine.cols; ++i) {
      const double angle = static_cast<double>(op.first_position + p) *
                           std::pow(op.theta, -static_cast<double>(i) / half);
      store(op.cosine, p, i, std::cos(angle));
      store(op.sine, p, i, std::sin(angle));
    }
  }
}

void run(const Rotary& op, Queue&) {
  check_shapes(op);
  const std::int64_t half = op.cosine.cols;
  for (std::int64_t r = 0; r < op.x.rows; ++r) {
    const std::int64_t position = op.first_position + r % op.sequence_len;
    for (std::int64_t head = 0; head < op.x.cols; head += op.head_dim) {
      for (std::int64_t i = 0; i < half; ++i) {
        const double cosine = at(op.cosine, position, i);
        const double sine = at(op.sine, position, i) * (op.inverse ? -1 : 1);
        const double a = at(op.x, r, head + i), b = at(op.x, r, head + half + i);
        store(op.y, r, head + i, a * cosine - b * sine);
        store(op.y, r, head + half + i, b * cosine + a * sine);
      }
      for (std::int64_t i = 2 * half; i < op.head_dim; ++i)
        store(op.y, r, head + i, at(op.x, r, head + i));
    }
  }
}

}  // namespace meshplan::kernels::reference
