#pragma once
#include "kernels/tensor_view.h"

namespace meshplan::kernels {

/// One step of Adam with decoupled weight decay on fp32 master weights, in place:
///   g  = gradient_scale * gradient
///   m  = beta1 m + (1 - beta1) g;       v = beta2 v + (1 - beta2) g^2
///   p -= learning_rate * (m / (1 - beta1^step) / (sqrt(v / (1 - beta2^step)) + epsilon)
///                         + weight_decay * p)
///
/// parameter, first_moment, second_moment [rows, cols] F32; gradient of any type
/// copy [rows, cols]: the working parameters, rounded from the master; empty: none
/// step counts from 1. gradient_scale: 1, or clipping norm / gradient norm.
/// Tolerance: 1e-6 * (1 + |p|). Source: Loshchilov and Hutter, arXiv 1711.05101, algorithm 2.
struct AdamW {
  TensorView parameter, first_moment, second_moment;
  ConstTensorView gradient;
  TensorView copy{};
  std::int64_t step = 1;
  float learning_rate = 1e-3F;
  float beta1 = 0.9F;
  float beta2 = 0.95F;
  float epsilon = 1e-8F;
  float weight_decay = 0.0F;
  float gradient_scale = 1.0F;
};

/// sum += sum over r, c of x[r,c]^2, in double and in an order that depends on the shape alone
///
/// x [rows, cols]; sum: one double in the memory of the device. Several tensors add into one sum;
/// the root after an all-reduce is the norm of the gradient.
/// Tolerance: 1e-12 relative.
struct SumOfSquares {
  ConstTensorView x;
  double* sum = nullptr;
};

constexpr std::int64_t bytes_moved(const AdamW& op) {
  return 2 * (op.parameter.bytes() + op.first_moment.bytes() + op.second_moment.bytes()) +
         op.gradient.bytes() + op.copy.bytes();
}
constexpr std::int64_t bytes_moved(const SumOfSquares& op) { return op.x.bytes(); }

}  // namespace meshplan::kernels
