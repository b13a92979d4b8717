#include "kernels/elementwise.h"

#include "kernels/reference/element.h"
#include "kernels/reference/kernels.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::reference {

void run(const ResidualAdd& op, Queue&) {
  check_shapes(op);
  for (std::int64_t r = 0; r < op.x.rows; ++r)
    for (std::int64_t c = 0; c < op.x.cols; ++c)
      store(op.y, r, c, at(op.x, r, c) + at(op.residual, r, c));
}

void run(const Copy& op, Queue&) {
  check_shapes(op);
  for (std::int64_t r = 0; r < op.x.rows; ++r)
    for (std::int64_t c = 0; c < op.x.cols; ++c)
      store(op.y, r, c, static_cast<double>(op.factor) * at(op.x, r, c));
}

void run(const Fill& op, Queue&) {
  check_shapes(op);
  for (std::int64_t r = 0; r < op.y.rows; ++r)
    for (std::int64_t c = 0; c < op.y.cols; ++c) store(op.y, r, c, static_cast<double>(op.value));
}

}  // namespace meshplan::kernels::reference
