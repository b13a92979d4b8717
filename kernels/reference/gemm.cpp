#include "kernels/gemm.h"

#include "kernels/reference/element.h"
#include "kernels/reference/kernels.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::reference {

void run(const Gemm& op, Queue&) {
  check_shapes(op);
  const std::int64_t depth = op.transpose_a ? op.a.rows : op.a.cols;
  for (std::int64_t m = 0; m < op.c.rows; ++m) {
    for (std::int64_t n = 0; n < op.c.cols; ++n) {
      double sum = op.accumulate ? at(op.c, m, n) : 0.0;
      if (!op.bias.empty()) sum += at(op.bias, 0, n);
      for (std::int64_t k = 0; k < depth; ++k) {
        const double a = op.transpose_a ? at(op.a, k, m) : at(op.a, m, k);
        const double b = op.transpose_b ? at(op.b, n, k) : at(op.b, k, n);
        sum += a * b;
      }
      store(op.c, m, n, sum);
    }
  }
}

}  // namespace meshplan::kernels::reference
