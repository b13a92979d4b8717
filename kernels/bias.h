#pragma once
#include "kernels/tensor_view.h"

namespace meshplan::kernels {

/// y[r,c] = x[r,c] + bias[c]
///
/// x, y [rows, cols]   may be the same memory
/// bias [1, cols]
/// Tolerance: exact to the rounding of y.
struct BiasForward {
  ConstTensorView x, bias;
  TensorView y;
};

/// dbias[c] += sum_r dy[r,c]
///
/// dy [rows, cols]; dbias [1, cols] F32
/// Tolerance: 2^-24 * (8 + rows / 4) * sum_r |dy[r,c]|.
struct BiasBackward {
  ConstTensorView dy;
  TensorView dbias;
};

constexpr std::int64_t bytes_moved(const BiasForward& op) {
  return op.x.bytes() + op.bias.bytes() + op.y.bytes();
}
constexpr std::int64_t bytes_moved(const BiasBackward& op) {
  return op.dy.bytes() + 2 * op.dbias.bytes();
}

}  // namespace meshplan::kernels
