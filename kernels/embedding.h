#pragma once
#include <span>

#include "kernels/tensor_view.h"

namespace meshplan::kernels {

/// y[r,:] = table[ids[r] - first_id,:] if the rank holds the id, else 0   (+ y[r,:] if accumulate)
///
/// ids [rows]; y [rows, width]
/// table [local ids, width]: the ids [first_id, first_id + table.rows), so that the sum over the
/// ranks of a split vocabulary is the whole lookup.
/// accumulate: position embeddings added to those of tokens.
/// Tolerance: exact to the rounding of y.
struct EmbeddingForward {
  std::span<const std::int32_t> ids;
  std::int64_t first_id = 0;
  ConstTensorView table;
  TensorView y;
  bool accumulate = false;
};

/// dtable[ids[r] - first_id,:] += dy[r,:] for the ids that the rank holds, in the order of rows
///
/// ids [rows]; dy [rows, width]; dtable [local ids, width] F32
/// Tolerance: 2^-24 * uses * sum |dy| over the rows of an id.
struct EmbeddingBackward {
  std::span<const std::int32_t> ids;
  std::int64_t first_id = 0;
  ConstTensorView dy;
  TensorView dtable;
};

/// Each row of the table is charged for each use.
constexpr std::int64_t bytes_moved(const EmbeddingForward& op) {
  return op.y.rows * op.table.cols * size_in_bytes(op.table.type) +
         op.y.bytes() * (op.accumulate ? 2 : 1) + 4 * op.y.rows;
}
constexpr std::int64_t bytes_moved(const EmbeddingBackward& op) {
  return op.dy.bytes() + 2 * 4 * op.dy.elements() + 4 * op.dy.rows;
}

}  // namespace meshplan::kernels
