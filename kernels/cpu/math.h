#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/cpu/vector.h"

namespace meshplan::kernels::cpu {

/// 2^t for -126 <= t <= 127, relative error below 2e-7; a NaN stays one.
///
/// t = n + f with |f| <= 1/2, which the processor's rounding gives exactly; 2^f by the polynomial
/// of fifth degree that is 1 at 0 and else has the smallest largest error, 1.1e-7; times 2^n
/// through the exponent bits.
MESHPLAN_INLINE float power_of_two(float t) {
  // 1.5 * 2^23, whose sums have no fraction bits, and the bias of an exponent.
  constexpr float kRoundToInteger = 12582912.0F + 127.0F;
  const float shifted = t + kRoundToInteger;
  const float f = t - (shifted - kRoundToInteger);
  float series = 1.32647285e-3F;
  series = series * f + 9.67151299e-3F;
  series = series * f + 5.55073358e-2F;
  series = series * f + 2.40222424e-1F;
  series = series * f + 6.93147004e-1F;
  series = series * f + 1.0F;
  // The low bits of `shifted` are n + 127; those above leave with the shift.
  return series * std::bit_cast<float>(std::bit_cast<std::uint32_t>(shifted) << 23);
}

inline constexpr float kLog2E = 1.44269504F;

/// 2^t for t <= 127; 0 below -86. Products of smaller powers would become numbers without an
/// exponent of their own, which some processors take a hundred cycles for, also in lanes that a
/// mask then drops.
MESHPLAN_INLINE float decay_of_two(float t) {
  constexpr float kLowest = -86.0F;
  const float value = power_of_two(t < kLowest ? kLowest : t);
  return t < kLowest ? 0.0F : value;
}

/// e^x for x <= 0 or a little more, -infinity included: scores less their maximum. 0 below -59.6.
/// Relative error below 2e-7 + 7e-8 |x|: the second part is the rounding of the exponent.
MESHPLAN_INLINE float decay(float x) { return decay_of_two(kLog2E * x); }

/// 1 / (1 + e^-x), absolute error below 2e-7; 0 below -40, for the same reason.
MESHPLAN_INLINE float sigmoid(float x) {
  constexpr float kRange = 40.0F;
  const float above = x < -kRange ? -kRange : x;
  const float value = 1.0F / (1.0F + power_of_two(-kLog2E * (above > kRange ? kRange : above)));
  return x < -kRange ? 0.0F : value;
}

/// Normal distribution: P(Z < x), and the density at x.
struct Normal {
  float probability = 0;
  float density = 0;
};

/// Absolute error of the probability below 3e-7: the rational approximation of erfc by Hastings,
/// Abramowitz and Stegun 7.1.26, on the tail, so that small probabilities do not cancel.
MESHPLAN_INLINE Normal normal(float x) {
  const float gauss = decay_of_two(-0.5F * kLog2E * (x * x));
  // Not x < 0 ? -x : x: GCC would take the series of both, one for each sign.
  const float t = 1.0F / (1.0F + 0.3275911F * 0.707106781F * std::fabs(x));
  // The coefficients are half of theirs: erfc(z / sqrt 2) is twice the tail.
  const float series =
      ((((0.5307027145F * t - 0.7265760135F) * t + 0.7107068705F) * t - 0.142248368F) * t +
       0.127414796F) *
      t;
  const float tail = series * gauss;
  return {x < 0 ? tail : 1.0F - tail, 0.398942280F * gauss};
}

}  // namespace meshplan::kernels::cpu
