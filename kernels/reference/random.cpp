#include "kernels/random.h"

#include <cmath>
#include <numbers>

#include "kernels/dropout.h"
#include "kernels/reference/element.h"
#include "kernels/reference/kernels.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::reference {

void run(const NormalFill& op, Queue&) {
  check_shapes(op);
  const RandomKey angle_key{op.key.seed ^ (std::uint64_t{1} << 63), op.key.stream};
  for (std::int64_t r = 0; r < op.y.rows; ++r) {
    const auto row = static_cast<std::uint64_t>(op.first_row + r);
    for (std::int64_t c = 0; c < op.y.cols; ++c) {
      const double radius_word = random_word(op.key, row, op.first_column + c);
      const double angle_word = random_word(angle_key, row, op.first_column + c);
      const double radius = std::sqrt(-2 * std::log((radius_word + 1) * 0x1p-32));
      const double z = radius * std::cos(2 * std::numbers::pi * angle_word * 0x1p-32);
      store(op.y, r, c, static_cast<double>(op.mean) + static_cast<double>(op.stddev) * z);
    }
  }
}

void run(const Dropout& op, Queue&) {
  check_shapes(op);
  const std::uint32_t threshold = dropout_threshold(op.probability);
  const double factor = 1.0 / (1.0 - static_cast<double>(op.probability));
  for (std::int64_t r = 0; r < op.x.rows; ++r) {
    const auto row = static_cast<std::uint64_t>(op.first_row + r);
    for (std::int64_t c = 0; c < op.x.cols; ++c) {
      const bool keep = random_word(op.key, row, op.first_column + c) >= threshold;
      store(op.y, r, c, keep ? at(op.x, r, c) * factor : 0.0);
    }
  }
}

}  // namespace meshplan::kernels::reference
