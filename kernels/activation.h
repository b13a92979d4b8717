#pragma once
#include "kernels/tensor_view.h"

namespace meshplan::kernels {

enum class Activation : std::uint8_t {
  Relu,         ///< max(x, 0)
  SquaredRelu,  ///< max(x, 0)^2
  Gelu,         ///< x * Phi(x), Phi the normal distribution function
  GeluTanh,     ///< x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))): GPT-2, Megatron
  Silu,         ///< x / (1 + exp(-x)); gated: SwiGLU
};

/// y = f(x)
///
/// x, y [rows, cols]   may be the same memory (then backward has no x)
/// Tolerance: 5e-7 * (1 + |y|).
struct ActivationForward {
  Activation kind = Activation::GeluTanh;
  ConstTensorView x;
  TensorView y;
};

/// dx = dy * f'(x);  f'(0) = 0 of Relu
///
/// x, dy, dx [rows, cols]   dx may be the same memory as x or dy
/// Tolerance: 2e-6 * (1 + |dy|) (1 + |x|).
struct ActivationBackward {
  Activation kind = Activation::GeluTanh;
  ConstTensorView x, dy;
  TensorView dx;
};

/// y = f(gate) * up      (SwiGLU: f = Silu; GeGLU: f = Gelu or GeluTanh)
///
/// gate, up, y [rows, cols]   gate and up are often the halves of one [rows, 2 cols]
/// Tolerance: 1e-6 * (1 + |y|). Source: Shazeer, arXiv 2002.05202.
struct GatedActivationForward {
  Activation kind = Activation::Silu;
  ConstTensorView gate, up;
  TensorView y;
};

/// dgate = dy * up * f'(gate);  dup = dy * f(gate)
///
/// all [rows, cols]   dgate may be the memory of gate, dup that of up
/// Tolerance: 2e-6 * (1 + |dy|) (1 + |up|) (1 + |gate|).
struct GatedActivationBackward {
  Activation kind = Activation::Silu;
  ConstTensorView gate, up, dy;
  TensorView dgate, dup;
};

constexpr std::int64_t bytes_moved(const ActivationForward& op) {
  return op.x.bytes() + op.y.bytes();
}
constexpr std::int64_t bytes_moved(const ActivationBackward& op) {
  return op.x.bytes() + op.dy.bytes() + op.dx.bytes();
}
constexpr std::int64_t bytes_moved(const GatedActivationForward& op) {
  return op.gate.bytes() + op.up.bytes() + op.y.bytes();
}
constexpr std::int64_t bytes_moved(const GatedActivationBackward& op) {
  return op.gate.bytes() + op.up.bytes() + op.dy.bytes() + op.dgate.bytes() + op.dup.bytes();
}

}  // namespace meshplan::kernels
