#pragma once
#include <compare>
#include <cstdint>

#include "kernels/cuda/queue.h"
#include "kernels/gemm.h"

namespace meshplan::kernels::cuda {

/// c[i] = alpha * op(a[i]) op(b[i]) + beta * c[i] (+ bias) for i < batch: row-major matrices,
/// `x[i]` begins i * x_stride elements after x; a stride of 0 shares the operand.
struct BatchedGemm {
  ConstTensorView a, b;
  TensorView c;
  bool transpose_a = false;
  bool transpose_b = false;
  float alpha = 1.0F;
  float beta = 0.0F;
  ConstTensorView bias{};  ///< [1, n] of the type of c, with batch 1
  std::int64_t batch = 1;
  std::int64_t a_stride = 0, b_stride = 0, c_stride = 0;
};

/// A column-major matrix as cuBLASLt is told of it.
struct ColumnMajor {
  std::int64_t rows = 0, cols = 0, leading_dimension = 0, batch_stride = 0;
  ElementType type = ElementType::F32;
  std::int64_t alignment = 1;  ///< of its address in bytes, a power of two up to 256

  auto operator<=>(const ColumnMajor&) const = default;
};

/// What a call of cuBLASLt needs to be prepared for: all but the addresses and the scalars.
///
/// cuBLASLt is column-major, and a row-major matrix is its own transpose there: so it is given
/// c^T = op(b)^T op(a)^T, first = our b, second = our a, and our bias runs along its rows, as its
/// epilogue wants it. m, n, k are those of our product.
struct GemmProblem {
  std::int64_t m = 0, n = 0, k = 0, batch = 1;
  bool transpose_first = false, transpose_second = false;
  ColumnMajor first, second, result;
  bool bias = false;

  auto operator<=>(const GemmProblem&) const = default;
};

GemmProblem problem_of(const BatchedGemm& gemm);

/// Whether some algorithm does it: not every combination of types and a bias has one.
bool multiplies(const BatchedGemm& gemm, Queue& queue);

/// Issues it. Empty products are the caller's: m, n, k and batch are at least 1. Throws Error where
/// no algorithm does it.
void multiply(const BatchedGemm& gemm, Queue& queue);

/// y = x + bias, where x may be F32 beside a bf16 y.
void add_bias(const ConstTensorView& x, const ConstTensorView& bias, const TensorView& y,
              Queue& queue);

}  // namespace meshplan::kernels::cuda
