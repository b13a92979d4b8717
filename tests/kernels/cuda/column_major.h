#pragma once
#include "kernels/bf16.h"
#include "kernels/cuda/gemm_problem.h"

namespace meshplan::kernels::testing {

/// result = alpha op(first) op(second) + beta result (+ bias along its rows): plain loops over
/// column-major matrices, as cuBLASLt is told of them.
inline void multiply_columns(const cuda::GemmProblem& p, const void* first, const void* second,
                             void* result, const void* bias, double alpha, double beta) {
  const auto element = [](const void* data, ElementType type, std::int64_t index) -> double {
    if (type == ElementType::Bf16) return to_float(static_cast<const Bf16*>(data)[index]);
    return static_cast<const float*>(data)[index];
  };
  for (std::int64_t i = 0; i < p.batch; ++i) {
    for (std::int64_t column = 0; column < p.result.cols; ++column) {
      for (std::int64_t row = 0; row < p.result.rows; ++row) {
        double sum = 0;
        for (std::int64_t k = 0; k < p.k; ++k) {
          const std::int64_t of_first = p.transpose_first ? k + row * p.first.leading_dimension
                                                          : row + k * p.first.leading_dimension;
          const std::int64_t of_second = p.transpose_second
                                             ? column + k * p.second.leading_dimension
                                             : k + column * p.second.leading_dimension;
          sum += element(first, p.first.type, i * p.first.batch_stride + of_first) *
                 element(second, p.second.type, i * p.second.batch_stride + of_second);
        }
        const std::int64_t at =
            i * p.result.batch_stride + row + column * p.result.leading_dimension;
        sum *= alpha;
        if (beta != 0) sum += beta * element(result, p.result.type, at);
        if (bias != nullptr) sum += element(bias, p.result.type, row);
        if (p.result.type == ElementType::Bf16)
          static_cast<Bf16*>(result)[at] = to_bf16(static_cast<float>(sum));
        else
          static_cast<float*>(result)[at] = static_cast<float>(sum);
      }
    }
  }
}

}  // namespace meshplan::kernels::testing
