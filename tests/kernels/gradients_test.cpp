// Backward passes against finite differences of the forward passes, both of the oracle. For
// L = sum(weights * y), dL/dx is (L(x + h) - L(x - h)) / 2h; with fp32 storage and h = 2^-6 its
// error is about h^2 + 2^-24 / h, below 1e-3 for functions of order 1.
#include <cmath>
#include <functional>

#include "tests/kernels/compare.h"

namespace meshplan::kernels::testing {
namespace {

constexpr double kStep = 0x1p-6;
constexpr double kTolerance = 5e-3;

double weighted_sum(const ConstTensorView& weights, const ConstTensorView& y) {
  double sum = 0;
  for (std::int64_t r = 0; r < y.rows; ++r)
    for (std::int64_t c = 0; c < y.cols; ++c) sum += element(weights, r, c) * element(y, r, c);
  return sum;
}

/// dL/dx by central differences, each element of x in turn, against `gradient`.
void expect_gradient(const char* what, const TensorView& x, const ConstTensorView& gradient,
                     const std::function<double()>& loss) {
  for (std::int64_t r = 0; r < x.rows; ++r) {
    for (std::int64_t c = 0; c < x.cols; ++c) {
      const double before = element(x, r, c);
      set_element(x, r, c, before + kStep);
      const double above = loss(), upper = element(x, r, c);
      set_element(x, r, c, before - kStep);
      const double below = loss(), lower = element(x, r, c);
      set_element(x, r, c, before);
      const double expected = (above - below) / (upper - lower);
      EXPECT_NEAR(element(gradient, r, c), expected, kTolerance * (1 + std::abs(expected)))
          << what << " [" << r << ", " << c << "]";
    }
  }
}

TensorView zeros(Arena& arena, std::int64_t rows, std::int64_t cols) {
  return arena.random(rows, cols, ElementType::F32, 0.0);
}

class Gradients : public ::testing::Test {
 protected:
  template <class Op>
  void run(const Op& op) {
    reference::run(op, queue_);
  }
  Arena arena_{11};
  reference::Queue queue_;
};

TEST_F(Gradients, OfLayerNorm) {
  const TensorView x = arena_.random(4, 9), gamma = arena_.random(1, 9), beta = arena_.random(1, 9);
  const TensorView y = arena_.random(4, 9), dy = arena_.random(4, 9), dx = arena_.random(4, 9);
  const TensorView dgamma = zeros(arena_, 1, 9), dbeta = zeros(arena_, 1, 9);
  LayerNormForward forward{x, gamma, beta, 1e-5F, y, arena_.vector(4), arena_.vector(4)};
  run(forward);
  run(LayerNormBackward{x, gamma, dy, forward.mean, forward.rstd, dx, dgamma, dbeta});
  const auto loss = [&] {
    run(forward);
    return weighted_sum(dy, y);
  };
  expect_gradient("x", x, dx, loss);
  expect_gradient("gamma", gamma, dgamma, loss);
  expect_gradient("beta", beta, dbeta, loss);
}

TEST_F(Gradients, OfRmsNorm) {
  const TensorView x = arena_.random(4, 9), gamma = arena_.random(1, 9), y = arena_.random(4, 9);
  const TensorView dy = arena_.random(4, 9), dx = arena_.random(4, 9);
  const TensorView dgamma = zeros(arena_, 1, 9);
  RmsNormForward forward{x, gamma, 1e-5F, y, arena_.vector(4)};
  run(forward);
  run(RmsNormBackward{x, gamma, dy, forward.rstd, dx, dgamma});
  const auto loss = [&] {
    run(forward);
    return weighted_sum(dy, y);
  };
  expect_gradient("x", x, dx, loss);
  expect_gradient("gamma", gamma, dgamma, loss);
}

TEST_F(Gradients, OfActivations) {
  for (const Activation kind : {Activation::Relu, Activation::SquaredRelu, Activation::Gelu,
                                Activation::GeluTanh, Activation::Silu}) {
    const TensorView x = arena_.random(3, 7), up = arena_.random(3, 7), y = arena_.random(3, 7);
    // Differences across the kink of Relu mean nothing: keep away from it.
    for (std::int64_t r = 0; r < 3; ++r)
      for (std::int64_t c = 0; c < 7; ++c)
        if (std::abs(element(x, r, c)) < 2 * kStep) set_element(x, r, c, 0.5);
    const TensorView dy = arena_.random(3, 7), dx = arena_.random(3, 7), dup = arena_.random(3, 7);
    run(ActivationBackward{kind, x, dy, dx});
    expect_gradient("x", x, dx, [&] {
      run(ActivationForward{kind, x, y});
      return weighted_sum(dy, y);
    });
    run(GatedActivationBackward{kind, x, up, dy, dx, dup});
    const auto gated = [&] {
      run(GatedActivationForward{kind, x, up, y});
      return weighted_sum(dy, y);
    };
    expect_gradient("gate", x, dx, gated);
    expect_gradient("up", up, dup, gated);
  }
}

TEST_F(Gradients, OfRotary) {
  const TensorView cosine = arena_.random(8, 3), sine = arena_.random(8, 3);
  run(RotaryTable{.cosine = cosine, .sine = sine});
  const TensorView x = arena_.random(6, 14), y = arena_.random(6, 14), dy = arena_.random(6, 14);
  const TensorView dx = arena_.random(6, 14);
  Rotary op{.x = x,
            .y = y,
            .cosine = cosine,
            .sine = sine,
            .head_dim = 7,
            .sequence_len = 3,
            .first_position = 2};
  Rotary backward = op;
  backward.x = dy;
  backward.y = dx;
  backward.inverse = true;
  run(backward);
  expect_gradient("x", x, dx, [&] {
    run(op);
    return weighted_sum(dy, y);
  });
}

TEST_F(Gradients, OfAttention) {
  // GQA, two sequences, a prefix, a cache with room to grow.
  const AttentionShape s{.batch = 2,
                         .heads = 4,
                         .kv_heads = 2,
                         .head_dim = 3,
                         .query_len = 4,
                         .kv_len = 6,
                         .query_offset = 2,
                         .scale = 0.5F};
  const TensorView q = arena_.random(8, 12), k = arena_.random(14, 6), v = arena_.random(14, 6);
  const TensorView out = arena_.random(8, 12), dout = arena_.random(8, 12);
  for (const float probability : {0.0F, 0.5F}) {
    const AttentionDropout dropout{.probability = probability, .key = {1, 2}, .model_heads = 4};
    const TensorView dq = zeros(arena_, 8, 12), dk = zeros(arena_, 14, 6);
    const TensorView dv = zeros(arena_, 14, 6);
    AttentionForward forward{s, q, k, v, out, arena_.vector(32), dropout};
    run(forward);
    run(AttentionBackward{s, q, k, v, out, dout, forward.log_sum_exp, dq, dk, dv, dropout});
    const auto loss = [&] {
      run(forward);
      return weighted_sum(dout, out);
    };
    expect_gradient("q", q, dq, loss);
    expect_gradient("k", k, dk, loss);
    expect_gradient("v", v, dv, loss);
  }
}

TEST_F(Gradients, OfCrossEntropy) {
  const TensorView logits = arena_.random(5, 9), dlogits = arena_.random(5, 9);
  const std::vector<std::int32_t> targets = {0, 8, -1, 4, 4};
  std::vector<float> max(5), sum(5), target(5), loss(5);
  const auto total = [&](const TensorView& gradient) {
    run(CrossEntropyMax{logits, max});
    run(CrossEntropySum{logits, targets, 0, max, sum, target});
    run(CrossEntropyLoss{logits, targets, 0, max, sum, target, 1.0F, loss, gradient});
    double losses = 0;
    for (const float value : loss) losses += value;
    return losses;
  };
  total(dlogits);
  expect_gradient("logits", logits, dlogits, [&] { return total({}); });
}

TEST_F(Gradients, OfGemmAndBias) {
  const TensorView x = arena_.random(5, 7), w = arena_.random(7, 3), b = arena_.random(1, 3);
  const TensorView y = arena_.random(5, 3), dy = arena_.random(5, 3);
  const TensorView dx = arena_.random(5, 7), dw = zeros(arena_, 7, 3), db = zeros(arena_, 1, 3);
  run(Gemm{.a = dy, .b = w, .c = dx, .transpose_b = true});
  run(Gemm{.a = x, .b = dy, .c = dw, .transpose_a = true, .accumulate = true});
  run(BiasBackward{dy, db});
  const auto loss = [&] {
    run(Gemm{.a = x, .b = w, .c = y, .bias = b});
    return weighted_sum(dy, y);
  };
  expect_gradient("x", x, dx, loss);
  expect_gradient("w", w, dw, loss);
  expect_gradient("b", b, db, loss);
}

TEST_F(Gradients, OfEmbedding) {
  const TensorView table = arena_.random(6, 4), y = arena_.random(5, 4), dy = arena_.random(5, 4);
  const TensorView dtable = zeros(arena_, 6, 4);
  const std::vector<std::int32_t> ids = {10, 12, 12, 15, 3};  // 3 is another rank's
  run(EmbeddingBackward{ids, 10, dy, dtable});
  expect_gradient("table", table, dtable, [&] {
    run(EmbeddingForward{ids, 10, table, y});
    return weighted_sum(dy, y);
  });
}

}  // namespace
}  // namespace meshplan::kernels::testing
