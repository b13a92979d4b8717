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

/// Asks for columns [c, c + count) of rows that the next block will read: while the second pass
/// over a block works in the cache, memory would have nothing to do.
template <class T>
MESHPLAN_INLINE void prefetch_columns(Matrix<const T> x, std::int64_t first_row, std::int64_t rows,
                                      std::int64_t c, std::int64_t count) {
  constexpr std::int64_t kLine = 64 / sizeof(T);
  const std::int64_t end = first_row + rows < x.rows ? first_row + rows : x.rows;
  for (std::int64_t r = first_row; r < end; ++r)
    for (std::int64_t k = c; k < c + count; k += kLine) __builtin_prefetch(x.row(r) + k, 0, 2);
}

/// Calls body(first, count) for stretches of columns between two prefetches, count a constant but
/// for the last.
template <class Body>
MESHPLAN_INLINE void for_each_stretch(std::int64_t cols, Body body) {
  constexpr std::int64_t kStretch = 64;
  std::int64_t c = 0;
  for (; c + kStretch <= cols; c += kStretch)
    body(c, std::integral_constant<std::int64_t, kStretch>{});
  if (c < cols) body(c, cols - c);
}

}  // namespace meshplan::kernels::cpu
