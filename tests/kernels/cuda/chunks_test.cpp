#include "kernels/cuda/chunks.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "kernels/cuda/column_sum.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/row.h"

namespace meshplan::kernels::cuda {
namespace {

TEST(Divider, DividesAsTheProcessorDoes) {
  EXPECT_TRUE(rc::check([] {
    const auto d = *rc::gen::inRange<std::int64_t>(1, std::int64_t{1} << 31);
    // Quotients change at multiples of d: the numbers on both sides of one are the hard ones.
    const auto q = *rc::gen::inRange<std::int64_t>(0, ((std::int64_t{1} << 31) - 1) / d + 1);
    for (const std::int64_t n : {q * d - 1, q * d, (q + 1) * d - 1})
      if (n >= 0 && n < (std::int64_t{1} << 31))
        RC_ASSERT(Divider(d).quotient(static_cast<std::uint32_t>(n)) == n / d);
  }));
  for (const std::int64_t d : {1, 2, 3, 5, 7, 43, 64, 641, 0x40000000, 0x40000001, 0x7FFFFFFF})
    for (const std::uint32_t n : {0U, 1U, 42U, 0x3FFFFFFFU, 0x40000000U, 0x7FFFFFFEU, 0x7FFFFFFFU})
      EXPECT_EQ(Divider(d).quotient(n), n / static_cast<std::uint32_t>(d)) << n << " / " << d;
}

TEST(Divider, RefusesWhatItCannotDivideBy) {
  EXPECT_THROW(Divider(0), std::invalid_argument);
  EXPECT_THROW(Divider(std::int64_t{1} << 31), std::invalid_argument);
}

TEST(Chunks, CoverEachElementOnce) {
  EXPECT_TRUE(rc::check([] {
    const auto rows = *rc::gen::inRange<std::int64_t>(0, 9);
    const auto cols = *rc::gen::inRange<std::int64_t>(0, 40);
    const bool bf16 = *rc::gen::arbitrary<bool>();
    const ConstTensorView view{nullptr, rows, cols, cols,
                               bf16 ? ElementType::Bf16 : ElementType::F32};
    ConstTensorView memory = view;
    memory.data = reinterpret_cast<const void*>(256);
    const Chunks chunks = chunks_of(rows, cols, {memory});
    RC_ASSERT(chunks.width == (bf16 ? 8 : 4));
    std::vector<int> visits(static_cast<std::size_t>(rows * cols));
    for (std::uint32_t i = 0; i < chunks.count; ++i) {
      const Place place = bf16 ? chunks.place<8>(i) : chunks.place<4>(i);
      RC_ASSERT(place.begin == 0 && place.end > 0 && place.end <= chunks.width);
      for (int k = place.begin; k < place.end; ++k)
        ++visits[static_cast<std::size_t>(place.row * cols + place.column + k)];
    }
    for (const int count : visits) RC_ASSERT(count == 1);
  }));
}

TEST(Chunks, AreAlignedIfEveryRowIs) {
  const auto view = [](std::uintptr_t address, std::int64_t stride, ElementType type) {
    return ConstTensorView{reinterpret_cast<const void*>(address), 3, 32, stride, type};
  };
  // 8 bf16 are 16 bytes, 4 bf16 beside fp32 are 8, and 4 fp32 are 16.
  EXPECT_TRUE(chunks_aligned(view(64, 40, ElementType::Bf16), 8));
  EXPECT_FALSE(chunks_aligned(view(64, 36, ElementType::Bf16), 8));
  EXPECT_TRUE(chunks_aligned(view(64, 36, ElementType::Bf16), 4));
  EXPECT_FALSE(chunks_aligned(view(72, 40, ElementType::Bf16), 8));
  EXPECT_TRUE(chunks_aligned(view(72, 40, ElementType::Bf16), 4));
  EXPECT_TRUE(chunks_aligned(view(64, 36, ElementType::F32), 4));
  EXPECT_FALSE(chunks_aligned(view(64, 35, ElementType::F32), 4));
  EXPECT_FALSE(chunks_aligned(view(68, 36, ElementType::F32), 4));
  // An fp32 parameter beside bf16 activations is read 16 bytes at a time.
  EXPECT_TRUE(chunks_aligned(view(16, 32, ElementType::F32), 8));
  EXPECT_FALSE(chunks_aligned(view(8, 32, ElementType::F32), 8));
}

TEST(Chunks, AreWideOnlyAmongBf16) {
  const ConstTensorView half{reinterpret_cast<const void*>(64), 1, 8, 8, ElementType::Bf16};
  const ConstTensorView full{reinterpret_cast<const void*>(64), 1, 8, 8, ElementType::F32};
  EXPECT_EQ(chunk_width({half, half}), 8);
  EXPECT_EQ(chunk_width({half, full}), 4);
  EXPECT_EQ(chunk_width({half, ConstTensorView{}}), 8);  // an operand left out has no say
}

TEST(Chunks, RefuseMoreThanAnIndexHolds) {
  // 2^20 rows of 2^14 fp32 are 2^32 chunks of four.
  EXPECT_THROW(chunks_of(1 << 20, 1 << 14,
                         {ConstTensorView{}, ConstTensorView{reinterpret_cast<const void*>(64), 1,
                                                             1, 1, ElementType::F32}}),
               std::invalid_argument);
}

TEST(GridBlocks, AreEnoughAndNoMoreThanFit) {
  // Warps come eight to a block of 256 threads; larger groups are a block each.
  EXPECT_EQ(grid_blocks(17, 32, 4, 132), 3);
  EXPECT_EQ(grid_blocks(17, 256, 4, 132), 17);
  EXPECT_EQ(grid_blocks(1'000'000, 32, 4, 132), 528);
  EXPECT_EQ(grid_blocks(1'000'000, 256, 8, 16), 128);
}

TEST(RowParts, CoverTheRowsInAtMost64Parts) {
  for (const std::int64_t rows : {1, 63, 64, 65, 4096, 4097, 1'000'003}) {
    const RowParts parts = row_parts(rows);
    EXPECT_LE(parts.count, 64);
    EXPECT_GE(parts.count * parts.rows_of_part, rows);
    EXPECT_LT((parts.count - 1) * parts.rows_of_part, rows) << "no part is empty";
  }
}

TEST(RowLanes, KeepShortRowsInAWarp) {
  EXPECT_EQ(row_lanes(128), 32);  // 1024 bf16: four chunks a lane
  EXPECT_EQ(row_lanes(129), 256);
}

}  // namespace
}  // namespace meshplan::kernels::cuda
