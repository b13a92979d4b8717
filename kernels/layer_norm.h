#pragma once
#include <span>

#include "kernels/tensor_view.h"

namespace meshplan::kernels {

/// y[r,c] = (x[r,c] - mean[r]) * rstd[r] * gamma[c] + beta[c]
///
/// x, y        [rows, cols]
/// gamma, beta [1, cols]
/// mean, rstd  [rows]   kept for backward; rstd = 1 / sqrt(variance + epsilon), variance biased
///
/// The variance is taken around the mean (two passes): E[x^2] - E[x]^2 in one pass loses all
/// digits when |mean| >> stddev. The second pass finds the row in cache.
/// Tolerance: 1e-5 * (1 + |y|), for rows with |mean| <= 100 stddev.
struct LayerNormForward {
  ConstTensorView x, gamma, beta;
  float epsilon = 1e-5F;
  TensorView y;
  std::span<float> mean, rstd;
};

/// With h = (x - mean) * rstd and g = dy * gamma, per row:
///   dx       = rstd * (g - mean_c(g) - h * mean_c(g * h))
///   dgamma  += sum_r dy * h
///   dbeta   += sum_r dy
///
/// x, dy, dx [rows, cols]     dx and dy may be the same memory
/// gamma [1, cols]; mean, rstd [rows]
/// dgamma, dbeta [1, cols] F32; both empty: the parameters are not trained
/// Tolerance: 1e-5 * (1 + |dx|); 2^-24 * (8 + rows / 4) * sum_r |dy h| for dgamma,
/// the like for dbeta.
struct LayerNormBackward {
  ConstTensorView x, gamma, dy;
  std::span<const float> mean, rstd;
  TensorView dx, dgamma, dbeta;
};

constexpr std::int64_t bytes_moved(const LayerNormForward& op) {
  return op.x.bytes() + op.gamma.bytes() + op.beta.bytes() + op.y.bytes() + 2 * 4 * op.x.rows;
}
constexpr std::int64_t bytes_moved(const LayerNormBackward& op) {
  return op.x.bytes() + op.gamma.bytes() + op.dy.bytes() + op.dx.bytes() + 2 * 4 * op.x.rows +
         2 * (op.dgamma.bytes() + op.dbeta.bytes());
}

}  // namespace meshplan::kernels
