#include "kernels/adamw.h"

#include <cmath>

#include "kernels/reference/element.h"
#include "kernels/reference/kernels.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::reference {

void run(const AdamW& op, Queue&) {
  check_shapes(op);
  const auto beta1 = static_cast<double>(op.beta1), beta2 = static_cast<double>(op.beta2);
  const double correction1 = 1 - std::pow(beta1, op.step);
  const double correction2 = 1 - std::pow(beta2, op.step);
  for (std::int64_t r = 0; r < op.parameter.rows; ++r) {
    for (std::int64_t c = 0; c < op.parameter.cols; ++c) {
      const double g = static_cast<double>(op.gradient_scale) * at(op.gradient, r, c);
      const double m = beta1 * at(op.first_moment, r, c) + (1 - beta1) * g;
      const double v = beta2 * at(op.second_moment, r, c) + (1 - beta2) * g * g;
      const double p = at(op.parameter, r, c);
      const double direction =
          m / correction1 / (std::sqrt(v / correction2) + static_cast<double>(op.epsilon));
      const double updated = p - static_cast<double>(op.learning_rate) *
                                     (direction + static_cast<double>(op.weight_decay) * p);
      store(op.first_moment, r, c, m);
      store(op.second_moment, r, c, v);
      store(op.parameter, r, c, updated);
      if (!op.copy.empty()) store(op.copy, r, c, updated);
    }
  }
}

void run(const SumOfSquares& op, Queue&) {
  check_shapes(op);
  double sum = 0;
  for (std::int64_t r = 0; r < op.x.rows; ++r)
    for (std::int64_t c = 0; c < op.x.cols; ++c) sum += std::pow(at(op.x, r, c), 2);
  *op.sum += sum;
}

}  // namespace meshplan::kernels::reference
