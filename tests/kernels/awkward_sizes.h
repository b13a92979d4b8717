#pragma once
#include <cstdint>
#include <string>

#include "kernels/tensor_view.h"
#include "tests/kernels/arena.h"

namespace meshplan::kernels::testing {

/// Calls test(what, rows, cols, type). Rows of 1030 and 9001 are for back ends that give a row to
/// several threads, and keep it between two passes if it is short enough.
template <class Test>
void on_awkward_sizes(Test test) {
  struct Size {
    std::int64_t rows, cols;
  };
  for (const Size size :
       {Size{597, 43}, {1, 43}, {597, 1}, {1, 1}, {6, 257}, {3, 1030}, {2, 9001}, {0, 43}})
    for (const ElementType type : {ElementType::F32, ElementType::Bf16})
      test("[" + std::to_string(size.rows) + ", " + std::to_string(size.cols) + "] " +
               (type == ElementType::F32 ? "f32" : "bf16"),
           size.rows, size.cols, type);
}

/// Sums over rows that are near 0 by cancellation: bound by the sum of magnitudes, about
/// `rows` elements of order 1.
inline Tolerance sum_over(std::int64_t rows) {
  const auto n = static_cast<double>(rows);
  return {0x1p-24 * (8 + n / 4) * 4 * n + 1e-6, 1e-6};
}

}  // namespace meshplan::kernels::testing
