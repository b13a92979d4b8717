#pragma once
#include <bit>
#include <cstdint>

namespace meshplan::kernels {

/// The upper half of an fp32: 8 bits of exponent, 8 significant bits.
struct Bf16 {
  std::uint16_t bits = 0;

  bool operator==(const Bf16&) const = default;
};

constexpr float to_float(Bf16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

/// The bits of `value` rounded to a bf16, which is their upper half: to nearest, ties to even; a
/// NaN stays one.
constexpr std::uint32_t bits_rounded_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return value != value ? bits | 0x400000U : bits + 0x7FFFU + ((bits >> 16) & 1U);
}

constexpr Bf16 to_bf16(float value) {
  return {static_cast<std::uint16_t>(bits_rounded_to_bf16(value) >> 16)};
}

}  // namespace meshplan::kernels
