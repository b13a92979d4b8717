#include "tests/kernels/operation_cases.h"

#include <array>
#include <cmath>

#include "kernels/reference/kernels.h"
#include "tests/kernels/awkward_sizes.h"
#include "tests/kernels/norm_cases.h"

namespace meshplan::kernels::testing {
namespace {

void gemm(const Expect& expect) {
  struct Shape {
    std::int64_t m, n, k;
  };
  for (const Shape shape : {Shape{59, 43, 131}, {1, 43, 64}, {97, 1, 7}, {33, 17, 1}, {1, 1, 1}}) {
    for (const ElementType type : {ElementType::F32, ElementType::Bf16}) {
      for (int bits = 0; bits < 32; ++bits) {
        const bool transpose_a = bits & 1, transpose_b = bits & 2, accumulate = bits & 4;
        const bool biased = bits & 8, wide = bits & 16;
        if ((accumulate && biased) || (wide && type == ElementType::F32)) continue;
        expect(std::to_string(shape.m) + "x" + std::to_string(shape.n) + "x" +
                   std::to_string(shape.k) + " variant " + std::to_string(bits),
               [&](Arena& arena) {
                 // |sum| of k products of order 1, each at most about 16.
                 const double magnitude = 4.0 * static_cast<double>(shape.k) + 4;
                 Gemm op;
                 op.transpose_a = transpose_a;
                 op.transpose_b = transpose_b;
                 op.accumulate = accumulate;
                 op.a = transpose_a ? arena.random(shape.k, shape.m, type)
                                    : arena.random(shape.m, shape.k, type);
                 op.b = transpose_b ? arena.random(shape.n, shape.k, type)
                                    : arena.random(shape.k, shape.n, type);
                 op.c = arena.output(shape.m, shape.n, wide ? ElementType::F32 : type,
                                     {0x1p-22 * magnitude, 1e-6});
                 if (biased) op.bias = arena.random(1, shape.n, type);
                 return op;
               });
      }
    }
  }
}

void bias(const Expect& expect) {
  on_awkward_sizes([&](const std::string& what, auto rows, auto cols, auto type) {
    expect(what, [&](Arena& arena) {
      return BiasForward{arena.random(rows, cols, type), arena.random(1, cols, type),
                         arena.output(rows, cols, type, {1e-7, 1e-7})};
    });
    expect(what, [&](Arena& arena) {
      return BiasBackward{arena.random(rows, cols, type),
                          arena.output(1, cols, ElementType::F32, sum_over(rows))};
    });
  });
}

void activation(const Expect& expect) {
  for (const Activation kind : {Activation::Relu, Activation::SquaredRelu, Activation::Gelu,
                                Activation::GeluTanh, Activation::Silu}) {
    on_awkward_sizes([&](const std::string& what, auto rows, auto cols, auto type) {
      const std::string variant = what + " kind " + std::to_string(static_cast<int>(kind));
      expect(variant, [&](Arena& arena) {
        return ActivationForward{kind, arena.random(rows, cols, type, 3.0),
                                 arena.output(rows, cols, type, {5e-7, 5e-7})};
      });
      expect(variant, [&](Arena& arena) {
        return ActivationBackward{kind, arena.random(rows, cols, type, 3.0),
                                  arena.random(rows, cols, type),
                                  arena.output(rows, cols, type, {1e-5, 2e-6})};
      });
      expect(variant, [&](Arena& arena) {
        return GatedActivationForward{kind, arena.random(rows, cols, type, 3.0),
                                      arena.random(rows, cols, type),
                                      arena.output(rows, cols, type, {3e-6, 1e-6})};
      });
      expect(variant, [&](Arena& arena) {
        return GatedActivationBackward{kind,
                                       arena.random(rows, cols, type, 3.0),
                                       arena.random(rows, cols, type),
                                       arena.random(rows, cols, type),
                                       arena.output(rows, cols, type, {2e-5, 4e-6}),
                                       arena.output(rows, cols, type, {1e-5, 4e-6})};
      });
    });
  }
}

/// f(100) = 100 and f(-100) = 0 to fp32, and nothing overflows on the way.
void activation_far_from_zero(const Expect& expect) {
  for (const Activation kind : {Activation::Gelu, Activation::GeluTanh, Activation::Silu}) {
    expect("far from 0", [&](Arena& arena) {
      const TensorView x = arena.random(1, 4);
      const double values[] = {100.0, -100.0, 1e30, -1e4};
      for (std::int64_t c = 0; c < 4; ++c) set_element(x, 0, c, values[c]);
      return ActivationForward{kind, x, arena.output(1, 4, ElementType::F32, {1e-30, 5e-7})};
    });
  }
}

void rotary(const Expect& expect) {
  struct Shape {
    std::int64_t batch, length, heads, head_dim, rotary_dim, offset;
  };
  for (const Shape s : {Shape{2, 13, 3, 16, 16, 0}, {1, 1, 1, 2, 2, 5}, {3, 5, 2, 43, 22, 9}}) {
    for (const ElementType type : {ElementType::F32, ElementType::Bf16}) {
      for (const bool inverse : {false, true}) {
        expect("rotary", [&](Arena& arena) {
          const TensorView cosine = arena.random(s.offset + s.length, s.rotary_dim / 2);
          const TensorView sine = arena.random(s.offset + s.length, s.rotary_dim / 2);
          reference::Queue queue;
          reference::run(RotaryTable{.cosine = cosine, .sine = sine}, queue);
          return Rotary{
              .x = arena.random(s.batch * s.length, s.heads * s.head_dim, type),
              .y = arena.output(s.batch * s.length, s.heads * s.head_dim, type, {1e-6, 1e-6}),
              .cosine = cosine,
              .sine = sine,
              .head_dim = s.head_dim,
              .sequence_len = s.length,
              .first_position = s.offset,
              .inverse = inverse};
        });
      }
    }
  }
  expect("table at position 10^6", [&](Arena& arena) {
    return RotaryTable{.theta = 5e5,
                       .first_position = 1000000,
                       .cosine = arena.output(11, 43, ElementType::F32, {1e-7, 0}),
                       .sine = arena.output(11, 43, ElementType::F32, {1e-7, 0})};
  });
}

void cross_entropy(const Expect& expect) {
  on_awkward_sizes([&](const std::string& what, auto rows, auto cols, auto type) {
    expect(what, [&](Arena& arena) {
      return CrossEntropyMax{arena.random(rows, cols, type, 5.0), arena.output_vector(rows, {})};
    });
    // The rank holds classes [10, 10 + cols); targets lie on both sides too, some are ignored.
    const auto last = static_cast<std::int32_t>(20 + cols);
    expect(what, [&](Arena& arena) {
      CrossEntropySum op;
      op.logits = arena.random(rows, cols, type, 5.0);
      op.targets = arena.integers(rows, -2, last);
      op.first_class = 10;
      const std::span<float> row_max = arena.vector(rows);
      for (float& max : row_max) max = 22.0F;
      op.row_max = row_max;
      op.sum_exp = arena.output_vector(rows, {1e-12, 2e-6});
      op.target_logit = arena.output_vector(rows, {1e-6, 1e-6});
      return op;
    });
    expect(what, [&](Arena& arena) {
      CrossEntropyLoss op;
      op.logits = arena.random(rows, cols, type, 5.0);
      op.targets = arena.integers(rows, -2, last);
      op.first_class = 10;
      const std::span<float> row_max = arena.vector(rows), sum_exp = arena.vector(rows);
      for (float& max : row_max) max = 22.0F;
      for (float& sum : sum_exp) sum = 1.0F + sum * sum;
      op.row_max = row_max;
      op.sum_exp = sum_exp;
      op.target_logit = arena.vector(rows);
      op.gradient_scale = 0.25F;
      op.loss = arena.output_vector(rows, {2e-6, 2e-6});
      op.dlogits = arena.output(rows, cols, type, {1e-6, 1e-5});
      return op;
    });
  });
}

void dropout(const Expect& expect) {
  on_awkward_sizes([&](const std::string& what, auto rows, auto cols, auto type) {
    expect(what, [&](Arena& arena) {
      return Dropout{.x = arena.random(rows, cols, type),
                     .y = arena.output(rows, cols, type, {0, 1e-6}),
                     .probability = 0.3F,
                     .key = {0x123456789ABCDEF0, 0xFEDCBA9876543210},
                     .first_row = (std::int64_t{1} << 33) + 5,
                     .first_column = 70};
    });
  });
}

void normal_fill(const Expect& expect) {
  on_awkward_sizes([&](const std::string& what, auto rows, auto cols, auto type) {
    expect(what, [&](Arena& arena) {
      return NormalFill{.y = arena.output(rows, cols, type, {4e-7, 2e-6}),
                        .mean = 0.5F,
                        .stddev = 0.02F,
                        .key = {7, 9},
                        .first_row = 3,
                        .first_column = 61};
    });
  });
}

void embedding(const Expect& expect) {
  on_awkward_sizes([&](const std::string& what, auto rows, auto cols, auto type) {
    for (const bool accumulate : {false, true}) {
      expect(what, [&](Arena& arena) {
        return EmbeddingForward{.ids = arena.integers(rows, 0, 40),
                                .first_id = 10,
                                .table = arena.random(20, cols, type),
                                .y = arena.output(rows, cols, type, {1e-7, 1e-7}),
                                .accumulate = accumulate};
      });
    }
    expect(what, [&](Arena& arena) {
      return EmbeddingBackward{
          .ids = arena.integers(rows, 0, 40),
          .first_id = 10,
          .dy = arena.random(rows, cols, type),
          .dtable = arena.output(20, cols, ElementType::F32, sum_over(rows / 10 + 1))};
    });
  });
}

void elementwise(const Expect& expect) {
  on_awkward_sizes([&](const std::string& what, auto rows, auto cols, auto type) {
    for (const ElementType other : {ElementType::F32, ElementType::Bf16}) {
      expect(what, [&](Arena& arena) {
        return ResidualAdd{arena.random(rows, cols, type), arena.random(rows, cols, other),
                           arena.output(rows, cols, type, {1e-7, 1e-7})};
      });
      expect(what, [&](Arena& arena) {
        return Copy{arena.random(rows, cols, type), arena.output(rows, cols, other, {0, 1e-7}),
                    0.75F};
      });
    }
    expect(what, [&](Arena& arena) { return Fill{arena.output(rows, cols, type, {}), 0.3F}; });
  });
}

void adamw(const Expect& expect) {
  on_awkward_sizes([&](const std::string& what, auto rows, auto cols, auto type) {
    expect(what, [&](Arena& arena) {
      AdamW op;
      const TensorView second = arena.random(rows, cols);
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t c = 0; c < cols; ++c)
          set_element(second, r, c, std::abs(element(second, r, c)));
      op.parameter = arena.output(rows, cols, ElementType::F32, {1e-6, 1e-6});
      op.first_moment = arena.output(rows, cols, ElementType::F32, {1e-6, 1e-6});
      op.second_moment = arena.compared(second, {1e-6, 1e-6});
      op.gradient = arena.random(rows, cols, type);
      if (type == ElementType::Bf16) op.copy = arena.output(rows, cols, type, {1e-6, 1e-6});
      op.step = 3;
      op.learning_rate = 0.01F;
      op.weight_decay = 0.1F;
      op.gradient_scale = 0.5F;
      return op;
    });
  });
}

/// Outputs in the memory of inputs, where the contracts allow it.
void in_place(const Expect& expect) {
  on_awkward_sizes([&](const std::string& what, auto rows, auto cols, auto type) {
    expect(what, [&](Arena& arena) {
      const TensorView x = arena.output(rows, cols, type, {1e-7, 1e-7});
      return BiasForward{x, arena.random(1, cols, type), x};
    });
    expect(what, [&](Arena& arena) {
      const TensorView x = arena.output(rows, cols, type, {5e-7, 5e-7});
      return ActivationForward{Activation::Silu, x, x};
    });
    expect(what, [&](Arena& arena) {
      const TensorView dy = arena.output(rows, cols, type, {1e-5, 2e-6});
      return ActivationBackward{Activation::Silu, arena.random(rows, cols, type), dy, dy};
    });
    expect(what, [&](Arena& arena) {
      const TensorView gate = arena.output(rows, cols, type, {2e-5, 4e-6});
      const TensorView up = arena.output(rows, cols, type, {2e-5, 4e-6});
      return GatedActivationBackward{
          Activation::Silu, gate, up, arena.random(rows, cols, type), gate, up};
    });
    expect(what, [&](Arena& arena) {
      const TensorView residual = arena.output(rows, cols, type, {1e-7, 1e-7});
      return ResidualAdd{arena.random(rows, cols, type), residual, residual};
    });
    expect(what, [&](Arena& arena) {
      const TensorView x = arena.output(rows, cols, type, {0, 1e-6});
      return Dropout{.x = x, .y = x, .probability = 0.3F, .key = {1, 2}, .first_column = 7};
    });
    expect(what, [&](Arena& arena) {
      LayerNormBackward op;
      op.x = arena.random(rows, cols, type);
      op.gamma = arena.random(1, cols);
      op.mean = arena.vector(rows);
      op.rstd = arena.vector(rows);
      // The mean of g * h over the row is of order 1, and so is rstd.
      op.dx = arena.output(rows, cols, type, {1e-3, 1e-5});
      op.dy = op.dx;
      return op;
    });
    expect(what, [&](Arena& arena) {
      CrossEntropyLoss op;
      const std::span<float> sum_exp = arena.vector(rows);
      for (float& sum : sum_exp) sum = 20.0F;
      op.dlogits = arena.output(rows, cols, type, {1e-6, 1e-5});
      op.logits = op.dlogits;
      op.targets = arena.integers(rows, -2, static_cast<std::int32_t>(cols));
      op.row_max = arena.vector(rows);
      op.sum_exp = sum_exp;
      op.target_logit = arena.vector(rows);
      op.loss = arena.output_vector(rows, {2e-6, 2e-6});
      return op;
    });
  });
  for (const ElementType type : {ElementType::F32, ElementType::Bf16}) {
    expect("rotary", [&](Arena& arena) {
      const TensorView x = arena.output(10, 3 * 16, type, {4e-6, 1e-6});
      return Rotary{.x = x,
                    .y = x,
                    .cosine = arena.random(5, 8),
                    .sine = arena.random(5, 8),
                    .head_dim = 16,
                    .sequence_len = 5};
    });
  }
}

void sum_of_squares(const Expect& expect) {
  on_awkward_sizes([&](const std::string& what, auto rows, auto cols, auto type) {
    expect(what, [&](Arena& arena) {
      return SumOfSquares{arena.random(rows, cols, type), arena.output_double(2.5, {0, 1e-12})};
    });
  });
}

constexpr std::array kTables = {
    CaseTable{"gemm", gemm},
    CaseTable{"bias", bias},
    CaseTable{"layer_norm", layer_norm},
    CaseTable{"layer_norm_of_a_large_mean", layer_norm_of_a_large_mean},
    CaseTable{"layer_norm_of_unlike_columns", layer_norm_of_unlike_columns},
    CaseTable{"rms_norm", rms_norm},
    CaseTable{"norm_without_parameters", norm_without_parameters},
    CaseTable{"activation", activation},
    CaseTable{"activation_far_from_zero", activation_far_from_zero},
    CaseTable{"rotary", rotary},
    CaseTable{"cross_entropy", cross_entropy},
    CaseTable{"dropout", dropout},
    CaseTable{"normal_fill", normal_fill},
    CaseTable{"embedding", embedding},
    CaseTable{"elementwise", elementwise},
    CaseTable{"adamw", adamw},
    CaseTable{"in_place", in_place},
    CaseTable{"sum_of_squares", sum_of_squares},
};

}  // namespace

std::span<const CaseTable> operation_cases() { return kTables; }

}  // namespace meshplan::kernels::testing
