// Storage in bf16: rounding to nearest, ties to even, and what is no number.
#include "kernels/bf16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace meshplan::kernels {
namespace {

float from_bits(std::uint32_t bits) { return std::bit_cast<float>(bits); }

TEST(ToBf16, RoundsToNearestAndTiesToEven) {
  EXPECT_EQ(to_bf16(from_bits(0x3F808000)).bits, 0x3F80);  // halfway, even below
  EXPECT_EQ(to_bf16(from_bits(0x3F818000)).bits, 0x3F82);  // halfway, even above
  EXPECT_EQ(to_bf16(from_bits(0x3F808001)).bits, 0x3F81);
  EXPECT_EQ(to_bf16(from_bits(0x3F80FFFF)).bits, 0x3F81);
  EXPECT_EQ(to_bf16(from_bits(0xBF818000)).bits, 0xBF82);
}

TEST(ToBf16, KeepsWhatABf16Holds) {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const Bf16 value{static_cast<std::uint16_t>(bits)};
    if (!std::isnan(to_float(value))) {
      ASSERT_EQ(to_bf16(to_float(value)), value) << bits;
    }
  }
}

TEST(ToBf16, LeavesTheRangeForInfinity) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  EXPECT_EQ(to_bf16(kLargest).bits, 0x7F80);
  EXPECT_EQ(to_bf16(-kLargest).bits, 0xFF80);
}

/// All bits set is a NaN too: rounding must not carry it to a zero.
TEST(ToBf16, KeepsNaN) {
  for (const std::uint32_t bits : {0x7FC00000U, 0x7F800001U, 0x7FFFFFFFU, 0xFFFFFFFFU})
    EXPECT_TRUE(std::isnan(to_float(to_bf16(from_bits(bits))))) << bits;
}

}  // namespace
}  // namespace meshplan::kernels
