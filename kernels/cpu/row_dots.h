#pragma once
#include <cstdint>

#include "kernels/cpu/lanes.h"

namespace meshplan::kernels::cpu {

/// Rows that are asked for ahead where rows are long: a row is often a page, and what a processor
/// fetches ahead by itself stops at the end of a page.
inline constexpr std::int64_t kRowsAhead = 8;

/// Asks for `kStepLanes` vectors of a row.
template <class T>
MESHPLAN_INLINE void prefetch_step(const T* from) {
  __builtin_prefetch(from, 0, 2);  // both kinds of step are one cache line
}

/// Rows of fp32 whose partners are rows of T lie in the order in which steps over T load: of bf16,
/// each whole block of 32 columns has its even columns first. What is left keeps its order.
template <class T, class From>
MESHPLAN_INLINE void to_step_order(const From* from, float* to, std::int64_t size) {
  constexpr std::int64_t kParts = kStepLanes<T>;
  std::int64_t c = 0;
  for (; c + kParts * kLanes <= size; c += kParts * kLanes)
    for (std::int64_t part = 0; part < kParts; ++part) {
#pragma omp simd
      for (std::int64_t i = 0; i < kLanes; ++i)
        to[c + part * kLanes + i] = load(from[c + kParts * i + part]);
    }
  for (; c < size; ++c) to[c] = load(from[c]);
}

/// The inverse.
template <class T>
MESHPLAN_INLINE void from_step_order(const float* from, float* to, std::int64_t size) {
  constexpr std::int64_t kParts = kStepLanes<T>;
  std::int64_t c = 0;
  for (; c + kParts * kLanes <= size; c += kParts * kLanes)
    for (std::int64_t part = 0; part < kParts; ++part) {
#pragma omp simd
      for (std::int64_t i = 0; i < kLanes; ++i)
        to[c + kParts * i + part] = from[c + part * kLanes + i];
    }
  for (; c < size; ++c) to[c] = from[c];
}

/// dots[i][j] = a_i . b_j over `size` numbers, for kA rows in step order and kB rows of T.
///
/// All sums stay in registers, so that each number that is loaded meets several: one product alone
/// would wait for its two loads. `ahead`: asks for the rows of b that are kRowsAhead further on,
/// bit by bit; asked for all at once they would hold up the sums.
template <std::int64_t kA, std::int64_t kB, class T>
MESHPLAN_INLINE void dot_rows(const float* a, std::int64_t a_stride, const T* b,
                              std::int64_t b_stride, std::int64_t size, bool ahead,
                              float (&dots)[kA][kB]) {
  constexpr std::int64_t kParts = kStepLanes<T>;
  Lanes sums[kA][kB] = {};
  std::int64_t c = 0;
  for (; c + kParts * kLanes <= size; c += kParts * kLanes) {
    Lanes factors[kB][kParts], row;
    for (std::int64_t j = 0; j < kB; ++j) {
      load_step(b + j * b_stride + c, factors[j]);
      if (ahead) prefetch_step(b + (j + kRowsAhead) * b_stride + c);
    }
    for (std::int64_t part = 0; part < kParts; ++part) {
      for (std::int64_t i = 0; i < kA; ++i) {
        load_lanes(a + i * a_stride + c + part * kLanes, row);
        for (std::int64_t j = 0; j < kB; ++j) sums[i][j] += row * factors[j][part];
      }
    }
  }
  // Unrolled, so that the sums need no memory.
#pragma GCC unroll 4
  for (std::int64_t i = 0; i < kA; ++i) {
#pragma GCC unroll 4
    for (std::int64_t j = 0; j < kB; ++j) dots[i][j] = total(sums[i][j]);
  }
  for (; c < size; ++c)
    for (std::int64_t i = 0; i < kA; ++i)
      for (std::int64_t j = 0; j < kB; ++j)
        dots[i][j] += a[i * a_stride + c] * load(b[j * b_stride + c]);
}

}  // namespace meshplan::kernels::cpu
