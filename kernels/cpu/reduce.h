#pragma once
#include <cstdint>

#include "kernels/cpu/vector.h"

namespace meshplan::kernels::cpu {

/// sum of term(c) for c in [0, count), in an order that depends on count and the instruction set.
///
/// Long rows are cut in quarters that run side by side: one running sum would wait for the latency
/// of each addition.
template <class Term>
MESHPLAN_INLINE float sum_of(std::int64_t count, Term term) {
  constexpr std::int64_t kLong = 256;
  const std::int64_t quarter = count < kLong ? 0 : count / 4 / 16 * 16;
  float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
  for (std::int64_t c = 0; c < quarter; ++c) {
    s0 += term(c);
    s1 += term(quarter + c);
    s2 += term(2 * quarter + c);
    s3 += term(3 * quarter + c);
  }
  float rest = 0;
#pragma omp simd reduction(+ : rest)
  for (std::int64_t c = 4 * quarter; c < count; ++c) rest += term(c);
  return ((s0 + s1) + (s2 + s3)) + rest;
}

/// Two sums in one pass.
struct SumPair {
  float first = 0;
  float second = 0;
};

/// As sum_of, for terms that are pairs.
template <class Term>
MESHPLAN_INLINE SumPair sum_pair_of(std::int64_t count, Term term) {
  constexpr std::int64_t kLong = 256;
  const std::int64_t half = count < kLong ? 0 : count / 2 / 16 * 16;
  float a0 = 0, a1 = 0, b0 = 0, b1 = 0;
#pragma omp simd reduction(+ : a0, a1, b0, b1)
  for (std::int64_t c = 0; c < half; ++c) {
    const SumPair left = term(c), right = term(half + c);
    a0 += left.first;
    b0 += left.second;
    a1 += right.first;
    b1 += right.second;
  }
  float a = 0, b = 0;
#pragma omp simd reduction(+ : a, b)
  for (std::int64_t c = 2 * half; c < count; ++c) {
    const SumPair rest = term(c);
    a += rest.first;
    b += rest.second;
  }
  return {(a0 + a1) + a, (b0 + b1) + b};
}

/// Lambdas that are the term of a sum.
#define MESHPLAN_TERM __attribute__((always_inline))

}  // namespace meshplan::kernels::cpu
