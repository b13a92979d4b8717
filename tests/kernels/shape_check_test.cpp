#include "kernels/shape_check.h"

#include <stdexcept>

#include "tests/kernels/compare.h"

namespace meshplan::kernels::testing {
namespace {

template <class Op>
std::string refusal(const Op& op) {
  try {
    check_shapes(op);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ShapeCheck, NamesTheOperationTheArgumentAndBothShapes) {
  Arena arena(1);
  EXPECT_EQ(
      refusal(Gemm{.a = arena.random(2, 3), .b = arena.random(4, 5), .c = arena.random(2, 5)}),
      "gemm: expected b [3, 5], found [4, 5]");
  EXPECT_EQ(refusal(BiasForward{arena.random(2, 3), arena.random(1, 3),
                                arena.random(2, 3, ElementType::Bf16)}),
            "bias_forward: expected the activations of one storage type");
}

TEST(ShapeCheck, RefusesStatisticsOfAnotherSize) {
  Arena arena(1);
  RmsNormForward op;
  op.x = arena.random(4, 3);
  op.gamma = arena.random(1, 3);
  op.y = arena.random(4, 3);
  op.rstd = arena.vector(5);
  EXPECT_EQ(refusal(op), "rms_norm_forward: expected 4 elements of rstd, found 5");
}

TEST(ShapeCheck, RefusesHeadsThatShareNoKeyHead) {
  Arena arena(1);
  AttentionForward op;
  op.shape = {.batch = 1, .heads = 3, .kv_heads = 2, .head_dim = 1, .query_len = 1, .kv_len = 1};
  EXPECT_EQ(refusal(op), "attention_forward: expected heads to be a multiple of kv_heads");
}

TEST(ShapeCheck, RefusesRowsThatOverlap) {
  Arena arena(1);
  TensorView y = arena.random(4, 3);
  y.row_stride = 2;
  EXPECT_EQ(refusal(Fill{y}), "fill: expected rows of y that do not overlap");
}

TEST(ShapeCheck, RefusesPositionsBeyondTheTable) {
  Arena arena(1);
  const Rotary op{.x = arena.random(4, 8),
                  .y = arena.random(4, 8),
                  .cosine = arena.random(5, 2),
                  .sine = arena.random(5, 2),
                  .head_dim = 4,
                  .sequence_len = 4,
                  .first_position = 2};
  EXPECT_EQ(refusal(op), "rotary: expected tables that hold every position");
}

TEST(ShapeCheck, IsCalledByEveryBackEnd) {
  Arena arena(1);
  const Copy op{arena.random(2, 3), arena.random(3, 2)};
  reference::Queue oracle;
  cpu::Queue queue;
  EXPECT_THROW(reference::run(op, oracle), std::invalid_argument);
  EXPECT_THROW(cpu::run(op, queue), std::invalid_argument);
}

}  // namespace
}  // namespace meshplan::kernels::testing
