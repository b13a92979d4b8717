#pragma once
#include <span>

#include "kernels/tensor_view.h"

namespace meshplan::kernels {

/// y[r,c] = x[r,c] * rstd[r] * gamma[c],  rstd[r] = 1 / sqrt(mean_c(x[r,c]^2) + epsilon)
///
/// x, y [rows, cols]; gamma [1, cols]; rstd [rows], kept for backward
/// Tolerance: 1e-5 * (1 + |y|). Source: Zhang and Sennrich, NeurIPS 2019.
struct RmsNormForward {
  ConstTensorView x, gamma;
  float epsilon = 1e-5F;
  TensorView y;
  std::span<float> rstd;
};

/// With h = x * rstd and g = dy * gamma, per row:
///   dx      = rstd * (g - h * mean_c(g * h))
///   dgamma += sum_r dy * h
///
/// x, dy, dx [rows, cols]     dx and dy may be the same memory
/// gamma [1, cols]; rstd [rows]; dgamma [1, cols] F32, empty: not trained
/// Tolerance: 1e-5 * (1 + |dx|); 2^-24 * (8 + rows / 4) * sum_r |dy h| for dgamma.
struct RmsNormBackward {
  ConstTensorView x, gamma, dy;
  std::span<const float> rstd;
  TensorView dx, dgamma;
};

constexpr std::int64_t bytes_moved(const RmsNormForward& op) {
  return op.x.bytes() + op.gamma.bytes() + op.y.bytes() + 4 * op.x.rows;
}
constexpr std::int64_t bytes_moved(const RmsNormBackward& op) {
  return op.x.bytes() + op.gamma.bytes() + op.dy.bytes() + op.dx.bytes() + 4 * op.x.rows +
         2 * op.dgamma.bytes();
}

}  // namespace meshplan::kernels
