#pragma once
#include <cstdint>
#include <type_traits>

#include "kernels/cpu/vector.h"

namespace meshplan::kernels::cpu {

/// Calls body(first_row, count) for blocks of rows, count a constant: kRows, then 1 at the end.
///
/// The rows of a block are summed before they reach the running sum of a column, which saves
/// traffic and rounding.
template <std::int64_t kRows, class Body>
MESHPLAN_INLINE void for_each_row_block(std::int64_t rows, Body body) {
  std::int64_t r = 0;
  for (; r + kRows <= rows; r += kRows) body(r, std::integral_constant<std::int64_t, kRows>{});
  for (; r < rows; ++r) body(r, std::integral_constant<std::int64_t, 1>{});
}

}  // namespace meshplan::kernels::cpu
