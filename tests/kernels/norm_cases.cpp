#include "tests/kernels/norm_cases.h"

#include "kernels/reference/kernels.h"
#include "tests/kernels/awkward_sizes.h"

namespace meshplan::kernels::testing {

void layer_norm(const Expect& expect) {
  on_awkward_sizes([&](const std::string& what, auto rows, auto cols, auto type) {
    expect(what, [&](Arena& arena) {
      LayerNormForward op;
      op.x = arena.random(rows, cols, type);
      op.gamma = arena.random(1, cols, type);
      op.beta = arena.random(1, cols, ElementType::F32);
      op.y = arena.output(rows, cols, type, {1e-5, 1e-5});
      op.mean = arena.output_vector(rows, {1e-6, 1e-6});
      op.rstd = arena.output_vector(rows, {1e-6, 1e-5});
      return op;
    });
    expect(what, [&](Arena& arena) {
      LayerNormForward forward;
      forward.x = arena.random(rows, cols, type);
      forward.gamma = arena.random(1, cols, ElementType::F32);
      forward.beta = arena.random(1, cols, ElementType::F32);
      forward.epsilon = 0.1F;  // one column has variance 0: keep rstd of order 1
      forward.y = arena.random(rows, cols, type);
      forward.mean = arena.vector(rows);
      forward.rstd = arena.vector(rows);
      reference::Queue queue;
      reference::run(forward, queue);
      LayerNormBackward op;
      op.x = forward.x;
      op.gamma = forward.gamma;
      op.mean = forward.mean;
      op.rstd = forward.rstd;
      op.dy = arena.random(rows, cols, type);
      op.dx = arena.output(rows, cols, type, {3e-5, 1e-5});
      op.dgamma = arena.output(1, cols, ElementType::F32, sum_over(rows));
      op.dbeta = arena.output(1, cols, ElementType::F32, sum_over(rows));
      return op;
    });
  });
}

void layer_norm_of_a_large_mean(const Expect& expect) {
  // mean 100, stddev 1: E[x^2] - E[x]^2 in fp32 would be off by about 10000 * 2^-24 = 6e-4.
  expect("mean 100", [&](Arena& arena) {
    LayerNormForward op;
    const TensorView x = arena.random(5, 1000);
    for (std::int64_t r = 0; r < 5; ++r)
      for (std::int64_t c = 0; c < 1000; ++c) set_element(x, r, c, 100 + element(x, r, c));
    op.x = x;
    op.gamma = arena.random(1, 1000);
    op.beta = arena.random(1, 1000);
    op.y = arena.output(5, 1000, ElementType::F32, {4e-5, 4e-5});
    op.mean = arena.output_vector(5, {0, 1e-6});
    op.rstd = arena.output_vector(5, {0, 1e-5});
    return op;
  });
}

/// The first columns are far from the others: a mean that is taken of them alone is wrong by 16
/// standard deviations / sqrt(17), and what it costs the variance must stay within the tolerances.
void layer_norm_of_unlike_columns(const Expect& expect) {
  for (const ElementType type : {ElementType::F32, ElementType::Bf16}) {
    expect("first columns near 50", [&](Arena& arena) {
      LayerNormForward op;
      const TensorView x = arena.random(3, 1100, type);
      for (std::int64_t r = 0; r < 3; ++r)
        for (std::int64_t c = 0; c < 68; ++c) set_element(x, r, c, 50 + element(x, r, c));
      op.x = x;
      op.gamma = arena.random(1, 1100);
      op.beta = arena.random(1, 1100);
      op.y = arena.output(3, 1100, type, {1e-5, 1e-5});
      op.mean = arena.output_vector(3, {1e-5, 1e-6});  // 50 * 2^-24, a few times
      op.rstd = arena.output_vector(3, {1e-6, 1e-5});
      return op;
    });
  }
}

void rms_norm(const Expect& expect) {
  on_awkward_sizes([&](const std::string& what, auto rows, auto cols, auto type) {
    expect(what, [&](Arena& arena) {
      RmsNormForward op;
      op.x = arena.random(rows, cols, type);
      op.gamma = arena.random(1, cols, type);
      op.y = arena.output(rows, cols, type, {1e-5, 1e-5});
      op.rstd = arena.output_vector(rows, {1e-6, 1e-5});
      return op;
    });
    expect(what, [&](Arena& arena) {
      RmsNormForward forward;
      forward.x = arena.random(rows, cols, type);
      forward.gamma = arena.random(1, cols, ElementType::F32);
      forward.epsilon = 0.1F;
      forward.y = arena.random(rows, cols, type);
      forward.rstd = arena.vector(rows);
      reference::Queue queue;
      reference::run(forward, queue);
      RmsNormBackward op;
      op.x = forward.x;
      op.gamma = forward.gamma;
      op.rstd = forward.rstd;
      op.dy = arena.random(rows, cols, type);
      op.dx = arena.output(rows, cols, type, {3e-5, 1e-5});
      op.dgamma = arena.output(1, cols, ElementType::F32, sum_over(rows));
      return op;
    });
  });
}

void norm_without_parameters(const Expect& expect) {
  expect("no dgamma", [&](Arena& arena) {
    LayerNormBackward op;
    op.x = arena.random(7, 43);
    op.gamma = arena.random(1, 43);
    op.dy = arena.random(7, 43);
    op.mean = arena.vector(7);
    op.rstd = arena.vector(7);
    op.dx = arena.output(7, 43, ElementType::F32, {1e-4, 1e-5});
    return op;
  });
}

}  // namespace meshplan::kernels::testing
