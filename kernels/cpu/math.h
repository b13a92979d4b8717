#pragma once
#include <bit>
#include <cstdint>

#include "kernels/cpu/vector.h"

namespace meshplan::kernels::cpu {

/// e^x, relative error below 3e-7; 0 below -87.3, e^88.3 above 88.3.
///
/// x = n log 2 + r with |r| <= log(2) / 2 (log 2 in two parts, so that r is exact), then the Taylor
/// series of e^r up to r^7, whose remainder is 5e-9, times 2^n through the exponent bits.
MESHPLAN_INLINE float exponential(float x) {
  constexpr float kLowest = -87.3F, kHighest = 88.3F;
  constexpr float kRoundToInteger = 12582912.0F;  // 1.5 * 2^23: the sum has no fraction bits
  const float clamped = x < kLowest ? kLowest : (x > kHighest ? kHighest : x);
  const float shifted = clamped * 1.44269504F + kRoundToInteger;
  const float n = shifted - kRoundToInteger;
  const float r = (clamped - n * 0.693359375F) + n * 2.12194440e-4F;
  float series = 1.0F / 5040.0F;
  series = series * r + 1.0F / 720.0F;
  series = series * r + 1.0F / 120.0F;
  series = series * r + 1.0F / 24.0F;
  series = series * r + 1.0F / 6.0F;
  series = series * r + 0.5F;
  series = series * r + 1.0F;
  series = series * r + 1.0F;
  const std::int32_t exponent = static_cast<std::int32_t>(n) + 127;
  const float power = std::bit_cast<float>(exponent << 23);
  return x < kLowest ? 0.0F : series * power;
}

/// 1 / (1 + e^-x), absolute error below 2e-7.
MESHPLAN_INLINE float sigmoid(float x) { return 1.0F / (1.0F + exponential(-x)); }

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
