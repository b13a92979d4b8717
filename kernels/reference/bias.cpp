#include "kernels/bias.h"

#include "kernels/reference/element.h"
#include "kernels/reference/kernels.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::reference {

void run(const BiasForward& op, Queue&) {
  check_shapes(op);
  for (std::int64_t r = 0; r < op.x.rows; ++r)
    for (std::int64_t c = 0; c < op.x.cols; ++c)
      store(op.y, r, c, at(op.x, r, c) + at(op.bias, 0, c));
}

void run(const BiasBackward& op, Queue&) {
  check_shapes(op);
  for (std::int64_t c = 0; c < op.dy.cols; ++c) {
    double sum = 0;
    for (std::int64_t r = 0; r < op.dy.rows; ++r) sum += at(op.dy, r, c);
    add(op.dbias, 0, c, sum);
  }
}

}  // namespace meshplan::kernels::reference
