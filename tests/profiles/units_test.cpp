#include "profiles/units.h"

#include <gtest/gtest.h>

namespace meshplan::profiles {
namespace {

using namespace literals;

template <typename A, typename B>
concept Addable = requires(A a, B b) {
  a + b;
};
template <typename A, typename B>
concept Divisible = requires(A a, B b) {
  a / b;
};

TEST(Units, WrongMixesDoNotCompile) {
  static_assert(Addable<Bytes, Bytes>);
  static_assert(!Addable<Bytes, Seconds>);
  static_assert(!Addable<Bytes, Flops>);
  static_assert(!Addable<Bytes, int>);
  static_assert(Divisible<Bytes, BytesPerSecond>);
  static_assert(!Divisible<BytesPerSecond, Bytes>);
  static_assert(!Divisible<Flops, BytesPerSecond>);
  static_assert(!Divisible<Bytes, FlopsPerSecond>);
}

TEST(Units, BytesOverBandwidthIsTime) {
  // 450 GB at 450 GB/s take one second.
  EXPECT_DOUBLE_EQ((Bytes{450'000'000'000} / 450_GBps).count(), 1.0);
  EXPECT_DOUBLE_EQ((Flops{3e12} / FlopsPerSecond{1e12}).count(), 3.0);
}

TEST(Units, ShardRoundsUp) {
  EXPECT_EQ(shard(10_B, 4), 3_B);
  EXPECT_EQ(shard(8_B, 4), 2_B);
  EXPECT_EQ(shard(0_B, 4), 0_B);
}

TEST(Units, ScaledRoundsToTheNearestByte) {
  EXPECT_EQ(scaled(10_B, 0.25), 3_B);  // 2.5 rounds up
  EXPECT_EQ(scaled(4_GiB, 1.0), 4_GiB);
}

}  // namespace
}  // namespace meshplan::profiles
