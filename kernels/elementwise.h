#pragma once
#include "kernels/tensor_view.h"

namespace meshplan::kernels {

/// y = x + residual: the residual stream, or the sum of two gradients.
///
/// x, residual, y [rows, cols]   y may be the same memory as either; types may differ
/// Tolerance: exact to the rounding of y.
struct ResidualAdd {
  ConstTensorView x, residual;
  TensorView y;
};

/// y = factor * x, with conversion between storage types (factor 1: a copy between layouts or
/// types, an append to a KV cache).
///
/// x, y [rows, cols]   may be the same memory if of one type
/// Tolerance: exact to the rounding of y.
struct Copy {
  ConstTensorView x;
  TensorView y;
  float factor = 1.0F;
};

/// y = value
struct Fill {
  TensorView y;
  float value = 0.0F;
};

constexpr std::int64_t bytes_moved(const ResidualAdd& op) {
  return op.x.bytes() + op.residual.bytes() + op.y.bytes();
}
constexpr std::int64_t bytes_moved(const Copy& op) { return op.x.bytes() + op.y.bytes(); }
constexpr std::int64_t bytes_moved(const Fill& op) { return op.y.bytes(); }

}  // namespace meshplan::kernels
