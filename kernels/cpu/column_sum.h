#pragma once
#include <cstdint>
#include <type_traits>

#include "kernels/cpu/vector.h"

namespace meshplan::kernels::cpu {

/// Rows that are summed before they reach the running sum of a column: a quarter of the traffic,
/// and a smaller rounding error.
inline constexpr std::int64_t kColumnSumRows = 4;

/// Calls body(first_row, count) for the blocks of rows, count a constant: 4, then 1 at the end.
template <class Body>
MESHPLAN_INLINE void for_each_row_block(std::int64_t rows, Body body) {
  std::int64_t r = 0;
  for (; r + kColumnSumRows <= rows; r += kColumnSumRows)
    body(r, std::integral_constant<std::int64_t, kColumnSumRows>{});
  for (; r < rows; ++r) body(r, std::integral_constant<std::int64_t, 1>{});
}

}  // namespace meshplan::kernels::cpu
