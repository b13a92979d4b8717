#pragma once
#include <cstdint>
#include <cstring>

#include "kernels/cpu/vector.h"

namespace meshplan::kernels::cpu {

/// Sixteen partial sums, in whatever registers the instruction set has. For short sums: `omp simd
/// reduction` adds its partial sums one after the other at the end, which takes as long as a sum of
/// several hundred numbers. Handed on by reference, since registers for them are no part of the
/// baseline's calling convention.
using Lanes = float __attribute__((vector_size(64)));
inline constexpr std::int64_t kLanes = 16;

MESHPLAN_INLINE void load_lanes(const float* from, Lanes& to) {
  std::memcpy(&to, from, sizeof(Lanes));
}
MESHPLAN_INLINE void load_lanes(const Bf16* from, Lanes& to) {
  using Halves = std::uint16_t __attribute__((vector_size(32)));
  using Words = std::uint32_t __attribute__((vector_size(64)));
  Halves halves;
  std::memcpy(&halves, from, sizeof(Halves));
  const Words words = __builtin_convertvector(halves, Words) << 16;
  std::memcpy(&to, &words, sizeof(Lanes));
}

/// What one step of a loop over a row loads: 16 fp32, or 32 bf16 as the even ones and the odd ones,
/// which a shift and a mask give. To spread 16 bf16 over 32 bits each takes five instructions of
/// what GCC makes of it.
template <class T>
inline constexpr std::int64_t kStepLanes = sizeof(T) == sizeof(Bf16) ? 2 : 1;

MESHPLAN_INLINE void load_step(const float* from, Lanes (&to)[1]) { load_lanes(from, to[0]); }
MESHPLAN_INLINE void load_step(const Bf16* from, Lanes (&to)[2]) {
  using Words = std::uint32_t __attribute__((vector_size(64)));
  Words words;
  std::memcpy(&words, from, sizeof(Words));
  const Words even = words << 16, odd = words & 0xFFFF0000U;
  std::memcpy(&to[0], &even, sizeof(Lanes));
  std::memcpy(&to[1], &odd, sizeof(Lanes));
}

/// The sum of the lanes, by halves.
MESHPLAN_INLINE float total(const Lanes& lanes) {
  using Eight = float __attribute__((vector_size(32)));
  using Four = float __attribute__((vector_size(16)));
  Eight eight[2];
  std::memcpy(eight, &lanes, sizeof(Lanes));
  eight[0] += eight[1];
  Four four[2];
  std::memcpy(four, &eight[0], sizeof(Eight));
  four[0] += four[1];
  return (four[0][0] + four[0][2]) + (four[0][1] + four[0][3]);
}

}  // namespace meshplan::kernels::cpu
