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

/// To nearest, ties to even; a NaN stays one.
constexpr Bf16 to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  const std::uint32_t quiet = (bits >> 16) | 0x40U;
  return {static_cast<std::uint16_t>((bits & 0x7FFFFFFFU) > 0x7F800000U ? quiet : rounded)};
}

}  // namespace meshplan::kernels
