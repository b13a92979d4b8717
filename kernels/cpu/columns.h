#pragma once
#include <bit>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/vector.h"

namespace meshplan::kernels::cpu {

// Loops over the columns of a row. A row of fp32 goes column by column. A row of bf16 goes by two
// neighbours, which are one 32-bit word: widening is a shift or a mask, rounding ends in one word,
// and every lane stays 32 bits wide. Lanes of 16 bits would have to be spread and packed, which
// takes longer than the arithmetic of most operations.

/// The values of two columns.
struct Two {
  float even = 0, odd = 0;
};
MESHPLAN_INLINE Two both(float value) { return {value, value}; }
MESHPLAN_INLINE Two operator+(Two x, Two y) { return {x.even + y.even, x.odd + y.odd}; }
MESHPLAN_INLINE Two operator-(Two x, Two y) { return {x.even - y.even, x.odd - y.odd}; }
MESHPLAN_INLINE Two operator*(Two x, Two y) { return {x.even * y.even, x.odd * y.odd}; }
MESHPLAN_INLINE Two operator-(Two x, float y) { return x - both(y); }
MESHPLAN_INLINE Two operator*(float x, Two y) { return both(x) * y; }
MESHPLAN_INLINE Two& operator+=(Two& x, Two y) { return x = x + y; }

/// f of each column.
template <class F>
MESHPLAN_INLINE float mapped(F f, float x) {
  return f(x);
}
template <class F>
MESHPLAN_INLINE Two mapped(F f, Two x) {
  return {f(x.even), f(x.odd)};
}

/// Column c of any row.
struct OneColumn {
  std::int64_t c = 0;

  template <class T>
  MESHPLAN_INLINE float load(const T* row) const {
    return cpu::load(row[c]);
  }
  template <class T>
  MESHPLAN_INLINE void store(T* row, float value) const {
    row[c] = rounded<T>(value);
  }
};

/// Columns c and c + 1 of any row.
struct TwoColumns {
  std::int64_t c = 0;

  MESHPLAN_INLINE Two load(const float* row) const { return {row[c], row[c + 1]}; }
  MESHPLAN_INLINE Two load(const Bf16* row) const {
    std::uint32_t word = 0;
    std::memcpy(&word, row + c, sizeof(word));
    return {std::bit_cast<float>(word << 16), std::bit_cast<float>(word & 0xFFFF0000U)};
  }
  template <class T>
  MESHPLAN_INLINE void store(T* row, float value) const {
    store(row, both(value));
  }
  MESHPLAN_INLINE void store(float* row, Two value) const {
    row[c] = value.even;
    row[c + 1] = value.odd;
  }
  MESHPLAN_INLINE void store(Bf16* row, Two value) const {
    const std::uint32_t word =
        (bits_rounded_to_bf16(value.even) >> 16) | (bits_rounded_to_bf16(value.odd) & 0xFFFF0000U);
    std::memcpy(static_cast<void*>(row + c), &word, sizeof(word));
  }
};
static_assert(std::endian::native == std::endian::little, "the even column is the low half");

/// Calls body(OneColumn or TwoColumns) until columns [begin, end) are done, in vectors. `T` is the
/// storage type of the rows that most of the traffic is.
template <class T, class Body>
MESHPLAN_INLINE void for_each_column(std::int64_t begin, std::int64_t end, Body body) {
  if constexpr (sizeof(T) == sizeof(Bf16)) {
    const std::int64_t pairs = (end - begin) / 2;
#pragma omp simd
    for (std::int64_t i = 0; i < pairs; ++i) body(TwoColumns{begin + 2 * i});
    if ((end - begin) % 2 != 0) body(OneColumn{end - 1});
  } else {
#pragma omp simd
    for (std::int64_t c = begin; c < end; ++c) body(OneColumn{c});
  }
}

/// Running sums of columns, many, so that additions do not wait for each other.
struct ColumnSums {
  static constexpr std::int64_t kSums = 64;
  alignas(64) float sums[kSums] = {};

  /// The sum of all, by halves: `omp simd reduction` adds its lanes one after the other, which
  /// takes as long as several hundred columns.
  MESHPLAN_INLINE float total() const {
    Lanes lanes[kSums / kLanes];
    for (std::int64_t i = 0; i < kSums / kLanes; ++i) load_lanes(sums + i * kLanes, lanes[i]);
    lanes[0] = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
    return cpu::total(lanes[0]);
  }
};

/// Calls add(OneColumn or TwoColumns, i) for stretches of kWidth columns, as far as they fit; i
/// counts within one. Returns the first column that is left.
template <class T, std::int64_t kWidth, class Add>
MESHPLAN_INLINE std::int64_t for_each_sum(std::int64_t c, std::int64_t end, Add add) {
  for (; c + kWidth <= end; c += kWidth) {
    if constexpr (sizeof(T) == sizeof(Bf16)) {
#pragma omp simd
      for (std::int64_t i = 0; i < kWidth / 2; ++i) add(TwoColumns{c + 2 * i}, i);
    } else {
#pragma omp simd
      for (std::int64_t i = 0; i < kWidth; ++i) add(OneColumn{c + i}, i);
    }
  }
  return c;
}
MESHPLAN_INLINE void add_to(ColumnSums& to, std::int64_t i, float value) { to.sums[i] += value; }
MESHPLAN_INLINE void add_to(ColumnSums& to, std::int64_t i, Two value) {
  to.sums[i] += value.even;
  to.sums[ColumnSums::kSums / 2 + i] += value.odd;
}

/// Adds up columns [begin, end): calls add(OneColumn or TwoColumns, i), which hands its values and
/// i on to `add_to`.
template <class T, class Add>
MESHPLAN_INLINE void sum_columns(std::int64_t begin, std::int64_t end, Add add) {
  std::int64_t c = for_each_sum<T, ColumnSums::kSums>(begin, end, add);
  c = for_each_sum<T, 16>(c, end, add);
  for (; c < end; ++c) add(OneColumn{c}, std::int64_t{0});
}

}  // namespace meshplan::kernels::cpu
