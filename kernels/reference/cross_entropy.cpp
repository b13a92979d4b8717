#include "kernels/cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "kernels/reference/element.h"
#include "kernels/reference/kernels.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::reference {

void run(const CrossEntropyMax& op, Queue&) {
  check_shapes(op);
  for (std::int64_t r = 0; r < op.logits.rows; ++r) {
    double max = at(op.logits, r, 0);
    for (std::int64_t c = 1; c < op.logits.cols; ++c) max = std::max(max, at(op.logits, r, c));
    op.row_max[static_cast<std::size_t>(r)] = static_cast<float>(max);
  }
}

void run(const CrossEntropySum& op, Queue&) {
  check_shapes(op);
  for (std::int64_t r = 0; r < op.logits.rows; ++r) {
    const auto row = static_cast<std::size_t>(r);
    const double max = static_cast<double>(op.row_max[row]);
    double sum = 0, target_logit = 0;
    for (std::int64_t c = 0; c < op.logits.cols; ++c) {
      sum += std::exp(at(op.logits, r, c) - max);
      if (op.targets[row] == op.first_class + c) target_logit = at(op.logits, r, c) - max;
    }
    op.sum_exp[row] = static_cast<float>(sum);
    op.target_logit[row] = static_cast<float>(target_logit);
  }
}

void run(const CrossEntropyLoss& op, Queue&) {
  check_shapes(op);
  const double scale = static_cast<double>(op.gradient_scale);
  for (std::int64_t r = 0; r < op.logits.rows; ++r) {
    const auto row = static_cast<std::size_t>(r);
    const bool ignored = op.targets[row] < 0;
    const double sum = static_cast<double>(op.sum_exp[row]);
    op.loss[row] =
        ignored ? 0.0F
                : static_cast<float>(std::log(sum) - static_cast<double>(op.target_logit[row]));
    for (std::int64_t c = 0; c < op.logits.cols && !op.dlogits.empty(); ++c) {
      const double probability =
          std::exp(at(op.logits, r, c) - static_cast<double>(op.row_max[row])) / sum;
      const double target = op.targets[row] == op.first_class + c ? 1 : 0;
      store(op.dlogits, r, c, ignored ? 0.0 : scale * (probability - target));
    }
  }
}

}  // namespace meshplan::kernels::reference
