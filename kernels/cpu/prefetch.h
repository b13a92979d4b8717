#pragma once
#include <cstdint>
#include <type_traits>

#include "kernels/cpu/columns.h"

namespace meshplan::kernels::cpu {

// What a processor fetches ahead by itself stops at the end of a page, which a row often is, and
// arithmetic that fills its window of instructions keeps loads behind it from starting.

/// Asks for columns [c, c + count) of rows that the next block will read: while the second pass
/// over a block works in the cache, memory would have nothing to do. Into the second level, since
/// rows of a power of two share few sets of the first.
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

/// As `for_each_column` over a whole row, and asks for what lies half a page further on in each of
/// `rows`, of one type.
template <class T, class Body, class... Rows>
MESHPLAN_INLINE void for_each_column_ahead(std::int64_t cols, Body body, const Rows*... rows) {
  constexpr std::int64_t kAhead = 2048 / sizeof(T), kLine = 64 / sizeof(T);
  for_each_stretch(
      cols, [&](std::int64_t begin, auto size) __attribute__((always_inline)) {
        for (std::int64_t c = begin; c < begin + size; c += kLine)
          (__builtin_prefetch(rows + c + kAhead, 0, 2), ...);
        for_each_column<T>(begin, begin + size, body);
      });
}

}  // namespace meshplan::kernels::cpu
