#pragma once
#include <bit>
#include <cstdint>

#include "kernels/cpu/vector.h"

namespace meshplan::kernels::cpu {

/// e^x for -87.3 <= x <= 88.3, relative error below 4e-7.
///
/// x = n log 2 + r with |r| <= log(2) / 2 (log 2 in two parts, so that r is exact), then the Taylor
/// series of e^r up to r^6, whose remainder is 1.2e-7, times 2^n through the exponent bits.
MESHPLAN_INLINE float exponential_in_range(float x) {
  constexpr float kRoundToInteger = 12582912.0F;  // 1.5 * 2^23: the sum has no fraction bits
  const float shifted = x * 1.44269504F + kRoundToInteger;
  const float n = shifted - kRoundToInteger;
  const float r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  float series = 1.0F / 720.0F;
  series = series * r + 1.0F / 120.0F;
  series = series * r + 1.0F / 24.0F;
  series = series * r + 1.0F / 6.0F;
  series = series * r + 0.5F;
  series = series * r + 1.0F;
  series = series * r + 1.0F;
  // The low bits of `shifted` are n; those above leave with the shift.
  const std::uint32_t exponent = std::bit_cast<std::uint32_t>(shifted) + 127U;
  return series * std::bit_cast<float>(exponent << 23);
}

/// Below e^-60 = 9e-27 an exponential is 0: its products would become numbers without an exponent
/// of their own, which some processors take a hundred cycles for, also in lanes that a mask then
/// drops.
inline constexpr float kLowestExponent = -60.0F, kHighestExponent = 88.3F;

/// e^x; 0 below -60, e^88.3 above 88.3.
MESHPLAN_INLINE float exponential(float x) {
  const float above = x < kLowestExponent ? kLowestExponent : x;
  const float value = exponential_in_range(above > kHighestExponent ? kHighestExponent : above);
  return x < kLowestExponent ? 0.0F : value;
}

/// e^x for x <= 0 or a little more, -infinity included: scores less their maximum.
MESHPLAN_INLINE float decay(float x) {
  const float value = exponential_in_range(x < kLowestExponent ? kLowestExponent : x);
  return x < kLowestExponent ? 0.0F : value;
}

/// 1 / (1 + e^-x), absolute error below 2e-7; 0 below -40, for the same reason.
MESHPLAN_INLINE float sigmoid(float x) {
  constexpr float kRange = 40.0F;
  const float above = x < -kRange ? -kRange : x;
  const float value = 1.0F / (1.0F + exponential_in_range(above > kRange ? -kRange : -above));
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
  const float magnitude = (x < 0 ? -x : x) * 0.707106781F;
  const float gauss = exponential(-magnitude * magnitude);
  const float t = 1.0F / (1.0F + 0.3275911F * magnitude);
  const float series =
      ((((1.061405429F * t - 1.453152027F) * t + 1.421413741F) * t - 0.284496736F) * t +
       0.254829592F) *
      t;
  const float tail = 0.5F * series * gauss;
  return {x < 0 ? tail : 1.0F - tail, 0.398942280F * gauss};
}

}  // namespace meshplan::kernels::cpu
