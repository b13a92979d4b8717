#pragma once
#include <cstdint>

#include "kernels/cpu/kernels.h"

namespace meshplan::kernels::cpu {

// One of gemm_onednn.cpp, gemm_openblas.cpp and gemm_own.cpp is built; CMake chooses.

/// An operand as BLAS sees it: row-major, `stride` elements from row to row.
struct FloatMatrix {
  const float* data = nullptr;
  std::int64_t stride = 0;
  bool transpose = false;
};

/// c[m,n] = alpha * op(a)[m,k] op(b)[k,n] + beta * c[m,n], on the calling thread alone.
void sgemm(Queue& queue, std::int64_t m, std::int64_t n, std::int64_t k, float alpha, FloatMatrix a,
           FloatMatrix b, float beta, float* c, std::int64_t c_stride);

/// A Gemm of bf16 operands; false if the library has none for this machine.
bool bf16_gemm(const Gemm& op, Queue& queue);

}  // namespace meshplan::kernels::cpu
