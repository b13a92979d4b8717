#pragma once
#include "kernels/tensor_view.h"

namespace meshplan::kernels {

/// c[m,n] = sum_k op(a)[m,k] * op(b)[k,n] (+ bias[n]) (+ c[m,n] if accumulate)
///
/// a     [m, k], or [k, m] if transpose_a
/// b     [k, n], or [n, k] if transpose_b
/// c     [m, n]           no overlap with a or b
/// bias  [1, n]           empty: none; not together with accumulate
///
/// a and b share a type; c has the same or is F32 (weight gradients of bf16 activations).
/// Of a layer y = x W with W [in, out]: forward (x, W), input gradient (dy, W, transpose_b),
/// weight gradient (x, dy, transpose_a, accumulate).
/// Tolerance: |error| <= 2^-22 * sum_k |a||b| per element.
struct Gemm {
  ConstTensorView a, b;
  TensorView c;
  bool transpose_a = false;
  bool transpose_b = false;
  bool accumulate = false;
  ConstTensorView bias{};
};

/// Floating-point operations, one multiply and one add for each (m, n, k).
constexpr double flops(const Gemm& gemm) {
  const std::int64_t k = gemm.transpose_a ? gemm.a.rows : gemm.a.cols;
  return 2.0 * static_cast<double>(gemm.c.rows) * static_cast<double>(gemm.c.cols) *
         static_cast<double>(k);
}

/// Each operand once: what the roofline charges, not what a small cache causes.
constexpr std::int64_t bytes_moved(const Gemm& gemm) {
  return gemm.a.bytes() + gemm.b.bytes() + gemm.c.bytes() * (gemm.accumulate ? 2 : 1) +
         gemm.bias.bytes();
}

}  // namespace meshplan::kernels
