#include "runtime/cuda/partition.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace meshplan::runtime::cuda {
namespace {

TEST(PartitionSize, CutsAnH200) {
  // 132 multiprocessors in multiples of 8: 66 -> 64, 33 -> 32, 16.5 -> 16.
  EXPECT_EQ(partition_size(132, 1), 128);
  EXPECT_EQ(partition_size(132, 2), 64);
  EXPECT_EQ(partition_size(132, 4), 32);
  EXPECT_EQ(partition_size(132, 8), 16);
  EXPECT_EQ(partition_size(132, 16), 8);
  EXPECT_EQ(partition_size(132, 17), 0);  // 7.8 < 8
  EXPECT_EQ(partition_size(132, 0), 0);
}

TEST(ShareBegin, CoversEveryElementOnceInWideSteps) {
  EXPECT_TRUE(rc::check([] {
    const long long n = *rc::gen::inRange<long long>(0, 100'000);
    const int ranks = *rc::gen::inRange(1, 65);
    RC_ASSERT(share_begin(n, ranks, 0) == 0);
    RC_ASSERT(share_begin(n, ranks, ranks) == n);
    for (int r = 0; r < ranks; ++r) {
      const long long begin = share_begin(n, ranks, r), end = share_begin(n, ranks, r + 1);
      RC_ASSERT(begin <= end);
      if (n >= 16 * ranks) RC_ASSERT(begin % 16 == 0);
      // No share is more than 16 elements from an equal one.
      RC_ASSERT(end - begin <= n / ranks + 17);
    }
  }));
}

}  // namespace
}  // namespace meshplan::runtime::cuda
