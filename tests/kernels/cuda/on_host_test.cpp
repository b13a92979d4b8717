// The kernels for the device, played on the host, against plain loops: the same source, index
// arithmetic, vector accesses and order of additions; what is left for a GPU to show is that its
// instructions, launches and libraries do what they say.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <vector>

#include "kernels/cuda/kernels.h"
#include "kernels/reference/kernels.h"
#include "tests/kernels/cuda/host_device.h"
#include "tests/kernels/cuda/relocated.h"
#include "tests/kernels/operation_cases.h"

namespace meshplan::kernels::testing {
namespace {

constexpr RowLayout kLayouts[] = {RowLayout::Padded, RowLayout::Aligned, RowLayout::Contiguous};

FarMemory other_memory() {
  const auto copy = [](std::byte* to, const std::byte* from, std::size_t bytes) {
    if (bytes > 0) std::memcpy(to, from, bytes);
  };
  return {.allocate = [](std::size_t bytes) { return new std::byte[bytes]; },
          .release = [](std::byte* memory) { delete[] memory; },
          .upload = [=](std::byte* far,
                        std::span<const std::byte> near) { copy(far, near.data(), near.size()); },
          .download = [=](std::span<std::byte> near,
                          const std::byte* far) { copy(near.data(), far, near.size()); }};
}

bool same_bits(Arena& a, Arena& b) {
  return std::ranges::equal(
      a.memory(), b.memory(),
      [](std::span<std::byte> x, std::span<std::byte> y) { return std::ranges::equal(x, y); });
}

/// Compares in every layout of rows, with grids too small and large enough for all the work.
Expect expect_on_host(const cuda::QueueOptions& options = {}) {
  return [options](const std::string& what, const Build& build) {
    for (const RowLayout layout : kLayouts) {
      Arena expected(17, layout);
      const Operation oracle_op = build(expected);
      reference::Queue oracle;
      reference::run(oracle_op, oracle);
      // In other memory, whose addresses every argument must be given: what a GPU's test does.
      Arena moved(17, layout);
      const Operation near_op = build(moved);
      {
        const Relocated memory(moved, other_memory());
        cuda::Queue queue = host_queue(3, options);
        cuda::launch(queue, memory.moved(near_op));
        memory.fetch();
      }
      ASSERT_EQ(moved.difference(expected), "") << what << ", " << name(near_op) << ", moved";
      std::vector<std::unique_ptr<Arena>> found;
      for (const int multiprocessors : {1, 1000}) {
        found.push_back(std::make_unique<Arena>(17, layout));
        const Operation op = build(*found.back());
        cuda::Queue queue = host_queue(multiprocessors, options);
        cuda::launch(queue, op);
        ASSERT_EQ(found.back()->difference(expected), "")
            << what << ", " << name(op) << ", layout " << static_cast<int>(layout) << ", "
            << multiprocessors << " multiprocessors";
      }
      ASSERT_TRUE(same_bits(*found[0], *found[1]))
          << what << ", " << name(near_op) << ": the order of additions follows the grid";
    }
  };
}

class OnHost : public ::testing::TestWithParam<CaseTable> {};

TEST_P(OnHost, AgreesWithTheReference) { GetParam().visit(expect_on_host()); }

INSTANTIATE_TEST_SUITE_P(Operations, OnHost, ::testing::ValuesIn(operation_cases()),
                         [](const auto& table) { return std::string(table.param.operation); });

/// Unfused attention rounds probabilities to bf16 before they meet the values, as fused ones do.
constexpr double kBf16Rounding = 0x1p-9;

class AttentionOnHost : public ::testing::TestWithParam<AttentionCaseTable> {};

TEST_P(AttentionOnHost, AgreesWithTheReference) {
  GetParam().visit(expect_on_host(), kBf16Rounding);
}

TEST_P(AttentionOnHost, AgreesWithTheReferenceWithoutTheDecodingKernel) {
  GetParam().visit(expect_on_host({.attention = cuda::AttentionKernel::Unfused}), kBf16Rounding);
}

TEST_P(AttentionOnHost, AgreesWithTheReferenceInBlocksOfFewScores) {
  // 2000 bytes: some rows of the cases' scores at a time, or one where a row is longer.
  GetParam().visit(
      expect_on_host({.score_bytes = 2000, .attention = cuda::AttentionKernel::Unfused}),
      kBf16Rounding);
}

INSTANTIATE_TEST_SUITE_P(Operations, AttentionOnHost, ::testing::ValuesIn(attention_cases()),
                         [](const auto& table) { return std::string(table.param.operation); });

TEST(Cases, CoverEveryOperation) {
  std::set<std::size_t> seen;
  const Expect record = [&](const std::string&, const Build& build) {
    Arena arena(1);
    seen.insert(build(arena).index());
  };
  for (const CaseTable& table : operation_cases()) table.visit(record);
  for (const AttentionCaseTable& table : attention_cases()) table.visit(record, 0.0);
  EXPECT_EQ(seen.size(), std::variant_size_v<Operation>);
}

}  // namespace
}  // namespace meshplan::kernels::testing
