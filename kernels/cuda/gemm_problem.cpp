#include "kernels/cuda/gemm_problem.h"

#include <algorithm>
#include <bit>

namespace meshplan::kernels::cuda {
namespace {

/// The greatest power of two up to 256 that divides the address, and the offsets of a batch.
std::int64_t alignment(const void* address, std::int64_t batch_stride_bytes) {
  const auto bits = reinterpret_cast<std::uintptr_t>(address) |
                    static_cast<std::uintptr_t>(batch_stride_bytes) | std::uintptr_t{256};
  return std::int64_t{1} << std::countr_zero(bits);
}

/// A row-major view is the transpose of a column-major matrix with the same memory.
ColumnMajor transposed(const ConstTensorView& view, std::int64_t batch, std::int64_t batch_stride) {
  return {
      .rows = view.cols,
      .cols = view.rows,
      .leading_dimension = std::max(view.cols, view.row_stride),
      .batch_stride = batch > 1 ? batch_stride : 0,
      .type = view.type,
      .alignment = alignment(view.data, batch > 1 ? batch_stride * size_in_bytes(view.type) : 0)};
}

}  // namespace

GemmProblem problem_of(const BatchedGemm& gemm) {
  GemmProblem problem;
  problem.m = gemm.c.rows;
  problem.n = gemm.c.cols;
  problem.k = gemm.transpose_a ? gemm.a.rows : gemm.a.cols;
  problem.batch = gemm.batch;
  problem.transpose_first = gemm.transpose_b;
  problem.transpose_second = gemm.transpose_a;
  problem.first = transposed(gemm.b, gemm.batch, gemm.b_stride);
  problem.second = transposed(gemm.a, gemm.batch, gemm.a_stride);
  problem.result = transposed(gemm.c, gemm.batch, gemm.c_stride);
  problem.bias = !gemm.bias.empty();
  // The epilogue reads the bias in accesses as wide as those to the result.
  if (problem.bias)
    problem.result.alignment = std::min(problem.result.alignment, alignment(gemm.bias.data, 0));
  return problem;
}

}  // namespace meshplan::kernels::cuda
