#pragma once
#include <type_traits>

#include "kernels/activation.h"
#include "kernels/cuda/math.h"

namespace meshplan::kernels::cuda {

MESHPLAN_DEVICE float sigmoid(float x) { return quotient(1.0F, 1.0F + exponential(-x)); }

/// f(x) and f'(x).
struct ValueAndSlope {
  float value;
  float slope;
};

template <Activation kKind>
MESHPLAN_DEVICE ValueAndSlope activation(float x) {
  if constexpr (kKind == Activation::Relu) {
    return {x > 0 ? x : 0.0F, x > 0 ? 1.0F : 0.0F};
  } else if constexpr (kKind == Activation::SquaredRelu) {
    const float positive = x > 0 ? x : 0.0F;
    return {positive * positive, 2 * positive};
  } else if constexpr (kKind == Activation::Gelu) {
    // Normal distribution through erfc of the tail, so that small probabilities do not cancel.
    // Absolute error of the probability below 3e-7: Abramowitz and Stegun 7.1.26.
    const float magnitude = (x < 0 ? -x : x) * 0.707106781F;
    const float gauss = exponential(-magnitude * magnitude);
    const float t = quotient(1.0F, 1.0F + 0.3275911F * magnitude);
    const float series =
        ((((1.061405429F * t - 1.453152027F) * t + 1.421413741F) * t - 0.284496736F) * t +
         0.254829592F) *
        t;
    const float tail = 0.5F * series * gauss;
    const float probability = x < 0 ? tail : 1.0F - tail;
    return {x * probability, probability + x * 0.398942280F * gauss};
  } else if constexpr (kKind == Activation::GeluTanh) {
    // (1 + tanh u) / 2 = sigmoid(2 u).
    const float xx = x * x;
    const float half = sigmoid(1.59576912F * x * (1.0F + 0.044715F * xx));
    const float slope_of_argument = 1.59576912F * (1.0F + 0.134145F * xx);
    // Where sigmoid is 0 or 1 its slope is 0, and a square that overflowed must not matter.
    const float rest = half * (1.0F - half);
    return {x * half, half + (rest > 0 ? x * rest * slope_of_argument : 0.0F)};
  } else {
    static_assert(kKind == Activation::Silu);
    const float s = sigmoid(x);
    return {x * s, s * (1.0F + x * (1.0F - s))};
  }
}

/// Calls visit(std::integral_constant<Activation, kind>{}): the choice is made once a chunk.
template <class Visit>
MESHPLAN_DEVICE void with_kind(Activation kind, Visit visit) {
  switch (kind) {
    case Activation::Relu:
      return visit(std::integral_constant<Activation, Activation::Relu>{});
    case Activation::SquaredRelu:
      return visit(std::integral_constant<Activation, Activation::SquaredRelu>{});
    case Activation::Gelu:
      return visit(std::integral_constant<Activation, Activation::Gelu>{});
    case Activation::GeluTanh:
      return visit(std::integral_constant<Activation, Activation::GeluTanh>{});
    case Activation::Silu:
      return visit(std::integral_constant<Activation, Activation::Silu>{});
  }
}

}  // namespace meshplan::kernels::cuda
