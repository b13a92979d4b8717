// Products of a few rows with a large transposed table, which go without the GEMM library.
#include "kernels/cpu/gemm_few_rows.h"

#include <string>
#include <vector>

#include "tests/kernels/compare.h"

namespace meshplan::kernels::testing {
namespace {

/// Shapes that fit no block of four rows and no vector; small ones, since the table's size decides
/// only who calls.
TEST(FewRowsGemm, AgreesWithTheReference) {
  struct Shape {
    std::int64_t m, n, k;
  };
  for (const Shape shape :
       {Shape{1, 1, 1}, {1, 43, 131}, {4, 64, 96}, {7, 18, 43}, {32, 5, 260}, {3, 4, 0}}) {
    for (const bool accumulate : {false, true}) {
      for (const bool biased : {false, true}) {
        if (accumulate && biased) continue;
        const auto build = [&](Arena& arena) {
          const double magnitude = 4.0 * static_cast<double>(shape.k) + 4;
          Gemm op;
          op.transpose_b = true;
          op.accumulate = accumulate;
          op.a = arena.random(shape.m, shape.k);
          op.b = arena.random(shape.n, shape.k);
          op.c = arena.output(shape.m, shape.n, ElementType::F32, {0x1p-22 * magnitude, 1e-6});
          if (biased) op.bias = arena.random(1, shape.n, ElementType::Bf16);
          return op;
        };
        expect_like_reference(
            std::to_string(shape.m) + "x" + std::to_string(shape.n) + "x" + std::to_string(shape.k),
            build, cpu::run_few_rows);
      }
    }
  }
}

/// A row's result does not depend on how many rows are with it.
TEST(FewRowsGemm, GivesARowTheSameBitsInAnyCompany) {
  Arena arena(5);
  const TensorView a = arena.random(7, 100), b = arena.random(9, 100);
  const TensorView all = arena.random(7, 9), one = arena.random(1, 9);
  cpu::Queue queue;
  Gemm op{.a = a, .b = b, .c = all, .transpose_b = true};
  cpu::run_few_rows(op, queue);
  for (std::int64_t r = 0; r < 7; ++r) {
    cpu::run_few_rows({.a = rows(a, r, 1), .b = b, .c = one, .transpose_b = true}, queue);
    for (std::int64_t c = 0; c < 9; ++c) EXPECT_EQ(element(all, r, c), element(one, 0, c)) << r;
  }
}

TEST(FewRowsGemm, IsForTransposedTablesBeyondTheCaches) {
  const auto op = [](std::int64_t m, std::int64_t n, ElementType type) {
    return Gemm{.a = {nullptr, m, 768, 768, type},
                .b = {nullptr, n, 768, 768, type},
                .c = {nullptr, m, n, n, type},
                .transpose_b = true};
  };
  EXPECT_TRUE(cpu::has_few_rows(op(1, 50257, ElementType::F32)));
  EXPECT_TRUE(cpu::has_few_rows(op(32, 50257, ElementType::F32)));
  EXPECT_FALSE(cpu::has_few_rows(op(33, 50257, ElementType::F32)));
  EXPECT_FALSE(cpu::has_few_rows(op(4, 3072, ElementType::F32)));
  EXPECT_FALSE(cpu::has_few_rows(op(4, 50257, ElementType::Bf16)));
  Gemm ordinary = op(4, 50257, ElementType::F32);
  ordinary.transpose_b = false;
  EXPECT_FALSE(cpu::has_few_rows(ordinary));
}

/// The way through run() on the smallest table that takes it: 16 MiB and a row.
TEST(FewRowsGemm, RunsInPlaceOfTheLibrary) {
  const std::int64_t n = 16385, k = 256;
  std::vector<float> a(static_cast<std::size_t>(2 * k), 1.0F);
  std::vector<float> b(static_cast<std::size_t>(n * k));
  for (std::int64_t j = 0; j < n; ++j)
    for (std::int64_t c = 0; c < k; ++c)
      b[static_cast<std::size_t>(j * k + c)] = static_cast<float>(j % 7 - c % 3);
  std::vector<float> c(static_cast<std::size_t>(2 * n), -1.0F);
  const Gemm op{.a = matrix_view(a.data(), 2, k),
                .b = matrix_view(b.data(), n, k),
                .c = matrix_view(c.data(), 2, n),
                .transpose_b = true};
  ASSERT_TRUE(cpu::has_few_rows(op));
  cpu::Queue queue;
  cpu::run(op, queue);
  // 256 (j % 7) less 85 times 0 + 1 + 2 and one 0: integers, exact in any order.
  for (std::int64_t i = 0; i < 2 * n; ++i)
    ASSERT_EQ(c[static_cast<std::size_t>(i)], static_cast<float>(256 * (i % n % 7) - 255)) << i;
}

}  // namespace
}  // namespace meshplan::kernels::testing
