#include "kernels/cuda/gemm_problem.h"

#include <gtest/gtest.h>

namespace meshplan::kernels::cuda {
namespace {

const void* at(std::uintptr_t address) { return reinterpret_cast<const void*>(address); }

TEST(GemmProblem, IsTheTransposedProduct) {
  // y [5, 7] = x [5, 3] W [3, 7], rows of x 10 apart, of W 8, of y 16. In columns:
  // y^T [7, 5] = W^T [7, 3] x^T [3, 5], each the same memory with that leading dimension.
  const GemmProblem p =
      problem_of({.a = {at(512), 5, 3, 10, ElementType::Bf16},
                  .b = {at(1024), 3, 7, 8, ElementType::Bf16},
                  .c = {const_cast<void*>(at(2048)), 5, 7, 16, ElementType::F32}});
  EXPECT_EQ(p.m, 5);
  EXPECT_EQ(p.n, 7);
  EXPECT_EQ(p.k, 3);
  EXPECT_FALSE(p.transpose_first);
  EXPECT_FALSE(p.transpose_second);
  const auto matrix = [](std::int64_t rows, std::int64_t cols, std::int64_t ld, ElementType type) {
    return ColumnMajor{rows, cols, ld, 0, type, 256};
  };
  EXPECT_EQ(p.first, matrix(7, 3, 8, ElementType::Bf16));
  EXPECT_EQ(p.second, matrix(3, 5, 10, ElementType::Bf16));
  EXPECT_EQ(p.result, matrix(7, 5, 16, ElementType::F32));
}

TEST(GemmProblem, TransposesTheOperandThatIsTransposed) {
  // dx [5, 3] = dy [5, 7] W^T: W [3, 7] is read as [7, 3] in columns and transposed.
  const GemmProblem p = problem_of({.a = {at(256), 5, 7, 7, ElementType::F32},
                                    .b = {at(256), 3, 7, 7, ElementType::F32},
                                    .c = {const_cast<void*>(at(256)), 5, 3, 3, ElementType::F32},
                                    .transpose_b = true});
  EXPECT_TRUE(p.transpose_first);
  EXPECT_FALSE(p.transpose_second);
  EXPECT_EQ(p.k, 7);
}

TEST(GemmProblem, StatesTheAlignmentThatEveryMatrixOfABatchHas) {
  const auto alignment = [](std::uintptr_t address, std::int64_t stride) {
    return problem_of({.a = {at(address), 2, 8, 8, ElementType::Bf16},
                       .b = {at(256), 8, 2, 2, ElementType::Bf16},
                       .c = {const_cast<void*>(at(256)), 2, 2, 2, ElementType::Bf16},
                       .batch = 3,
                       .a_stride = stride})
        .second.alignment;
  };
  EXPECT_EQ(alignment(4096, 0), 256);  // no more is ever asked
  EXPECT_EQ(alignment(4096 + 32, 0), 32);
  EXPECT_EQ(alignment(4096, 24), 16);  // 24 elements of 2 bytes: 48 = 3 * 16
  EXPECT_EQ(alignment(4096 + 2, 24), 2);
}

TEST(GemmProblem, OfOneRowHasALeadingDimensionOfAWholeColumn) {
  // A view of one row may state any stride; cuBLASLt asks for at least the column.
  const GemmProblem p = problem_of({.a = {at(256), 1, 9, 0, ElementType::F32},
                                    .b = {at(256), 9, 4, 4, ElementType::F32},
                                    .c = {const_cast<void*>(at(256)), 1, 4, 0, ElementType::F32}});
  EXPECT_EQ(p.second.leading_dimension, 9);
  EXPECT_EQ(p.result.leading_dimension, 4);
}

}  // namespace
}  // namespace meshplan::kernels::cuda
