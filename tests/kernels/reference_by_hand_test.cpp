// The oracle itself, on cases small enough for pencil and paper.
#include <cmath>

#include "kernels/bf16.h"
#include "tests/kernels/compare.h"

namespace meshplan::kernels::testing {
namespace {

TEST(Reference, LayerNormOfOneTwoThree) {
  // mean 2, variance 2/3: (x - 2) * sqrt(1.5) = -1.2247, 0, 1.2247; times gamma 2, plus beta 1.
  std::vector<float> x = {1, 2, 3}, gamma(3, 2.0F), beta(3, 1.0F), y(3), mean(1), rstd(1);
  reference::Queue queue;
  reference::run(
      LayerNormForward{vector_view(x.data(), 3), vector_view(gamma.data(), 3),
                       vector_view(beta.data(), 3), 0.0F, vector_view(y.data(), 3), mean, rstd},
      queue);
  EXPECT_FLOAT_EQ(mean[0], 2.0F);
  EXPECT_FLOAT_EQ(rstd[0], 1.2247449F);
  EXPECT_FLOAT_EQ(y[0], 1 - 2 * 1.2247449F);
  EXPECT_FLOAT_EQ(y[1], 1.0F);
  EXPECT_FLOAT_EQ(y[2], 1 + 2 * 1.2247449F);
}

TEST(Reference, RmsNormOfThreeAndFour) {
  // mean square (9 + 16) / 2 = 12.5: rstd = 0.2828427, y = 0.8485281, 1.1313708.
  std::vector<float> x = {3, 4}, gamma(2, 1.0F), y(2), rstd(1);
  reference::Queue queue;
  reference::run(RmsNormForward{vector_view(x.data(), 2), vector_view(gamma.data(), 2), 0.0F,
                                vector_view(y.data(), 2), rstd},
                 queue);
  EXPECT_FLOAT_EQ(y[0], 0.8485281F);
  EXPECT_FLOAT_EQ(y[1], 1.1313708F);
}

TEST(Reference, ActivationsAtOne) {
  // Phi(1) = 0.8413447 (tables of the normal distribution); sigmoid(1) = 0.7310586;
  // tanh(0.7978846 * 1.044715 = 0.8335620) = 0.6823840, so GeluTanh(1) = 0.8411920.
  const std::pair<Activation, float> expected[] = {{Activation::Relu, 1.0F},
                                                   {Activation::SquaredRelu, 1.0F},
                                                   {Activation::Gelu, 0.8413447F},
                                                   {Activation::GeluTanh, 0.8411920F},
                                                   {Activation::Silu, 0.7310586F}};
  reference::Queue queue;
  for (const auto& [kind, value] : expected) {
    float x = 1, y = 0;
    reference::run(ActivationForward{kind, vector_view(&x, 1), vector_view(&y, 1)}, queue);
    EXPECT_NEAR(y, value, 2e-7);
  }
}

TEST(Reference, RotaryTurnsAPairByItsAngle) {
  // One pair, frequency 1: at position 2 the vector (1, 0) becomes (cos 2, sin 2).
  std::vector<float> cosine(3), sine(3), x = {1, 0}, y(2);
  reference::Queue queue;
  reference::run(RotaryTable{.cosine = matrix_view(cosine.data(), 3, 1),
                             .sine = matrix_view(sine.data(), 3, 1)},
                 queue);
  reference::run(Rotary{.x = vector_view(x.data(), 2),
                        .y = vector_view(y.data(), 2),
                        .cosine = matrix_view(cosine.data(), 3, 1),
                        .sine = matrix_view(sine.data(), 3, 1),
                        .head_dim = 2,
                        .sequence_len = 1,
                        .first_position = 2},
                 queue);
  EXPECT_FLOAT_EQ(y[0], -0.41614684F);
  EXPECT_FLOAT_EQ(y[1], 0.90929743F);
}

TEST(Reference, FirstStepOfAdamWMovesByTheLearningRate) {
  // Step 1 from zero moments: m / c1 = g, v / c2 = g^2, so the direction is g / |g| = -1 (epsilon
  // aside), and p = 2 - 0.1 * (-1 + 0.5 * 2) = 2. Moments: 0.1 * -4 and 0.05 * 16.
  float p = 2, m = 0, v = 0, g = -4;
  reference::Queue queue;
  AdamW op;
  op.parameter = vector_view(&p, 1);
  op.first_moment = vector_view(&m, 1);
  op.second_moment = vector_view(&v, 1);
  op.gradient = vector_view(static_cast<const float*>(&g), 1);
  op.learning_rate = 0.1F;
  op.weight_decay = 0.5F;
  reference::run(op, queue);
  EXPECT_NEAR(p, 2.0F, 1e-6);
  EXPECT_FLOAT_EQ(m, -0.4F);
  EXPECT_FLOAT_EQ(v, 0.8F);
}

TEST(Reference, CrossEntropyOfEqualLogitsIsTheLogOfTheClasses) {
  // Four equal logits: loss log 4, gradient 1/4 each and 1/4 - 1 at the target.
  std::vector<float> logits(4, 3.0F), max(1), sum(1), target(1), loss(1), gradient(4);
  const std::vector<std::int32_t> targets = {2};
  reference::Queue queue;
  const ConstTensorView view = vector_view(logits.data(), 4);
  reference::run(CrossEntropyMax{view, max}, queue);
  reference::run(CrossEntropySum{view, targets, 0, max, sum, target}, queue);
  reference::run(CrossEntropyLoss{view, targets, 0, max, sum, target, 1.0F, loss,
                                  vector_view(gradient.data(), 4)},
                 queue);
  EXPECT_FLOAT_EQ(loss[0], std::log(4.0F));
  EXPECT_FLOAT_EQ(gradient[0], 0.25F);
  EXPECT_FLOAT_EQ(gradient[2], -0.75F);
}

TEST(Bf16, RoundsToNearestEven) {
  // Between 1 and 1 + 2^-7: half way goes to the even neighbour, above half way up.
  EXPECT_EQ(to_float(to_bf16(1.0F + 0x1p-8F)), 1.0F);
  EXPECT_EQ(to_float(to_bf16(1.0F + 0x1p-8F + 0x1p-20F)), 1.0F + 0x1p-7F);
  EXPECT_EQ(to_float(to_bf16(1.0F + 3 * 0x1p-8F)), 1.0F + 0x1p-6F);
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::nanf("")))));
  EXPECT_TRUE(std::isinf(to_float(to_bf16(3.4e38F))));
}

TEST(Operation, HasItsOwnNameBytesAndFlops) {
  std::vector<float> memory(64);
  const auto view = [&](std::int64_t r, std::int64_t c) {
    return matrix_view(memory.data(), r, c);
  };
  const Operation gemm = Gemm{.a = view(2, 3), .b = view(3, 5), .c = view(2, 5)};
  EXPECT_EQ(name(gemm), "gemm");
  EXPECT_EQ(bytes_moved(gemm), 4 * (6 + 15 + 10));
  EXPECT_EQ(flops(gemm), 60.0);
  double sum = 0;
  const Operation last = SumOfSquares{view(2, 3), &sum};
  EXPECT_EQ(name(last), "sum_of_squares");
  EXPECT_EQ(flops(last), 0.0);
}

}  // namespace
}  // namespace meshplan::kernels::testing
