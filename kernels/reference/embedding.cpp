#include "kernels/embedding.h"

#include "kernels/reference/element.h"
#include "kernels/reference/kernels.h"
#include "kernels/shape_check.h"

namespace meshplan::kernels::reference {

void run(const EmbeddingForward& op, Queue&) {
  check_shapes(op);
  for (std::int64_t r = 0; r < op.y.rows; ++r) {
    const std::int64_t id = op.ids[static_cast<std::size_t>(r)] - op.first_id;
    const bool held = id >= 0 && id < op.table.rows;
    for (std::int64_t c = 0; c < op.y.cols; ++c)
      store(op.y, r, c,
            (held ? at(op.table, id, c) : 0.0) + (op.accumulate ? at(op.y, r, c) : 0.0));
  }
}

void run(const EmbeddingBackward& op, Queue&) {
  check_shapes(op);
  for (std::int64_t r = 0; r < op.dy.rows; ++r) {
    const std::int64_t id = op.ids[static_cast<std::size_t>(r)] - op.first_id;
    if (id < 0 || id >= op.dtable.rows) continue;
    for (std::int64_t c = 0; c < op.dy.cols; ++c) add(op.dtable, id, c, at(op.dy, r, c));
  }
}

}  // namespace meshplan::kernels::reference
