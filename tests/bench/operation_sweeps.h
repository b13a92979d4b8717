#pragma once
#include <string>
#include <utility>

#include "kernels/operation.h"

namespace meshplan::kernels {

inline const char* text(ElementType type) { return type == ElementType::F32 ? "f32" : "bf16"; }

/// Calls sweep(name, make) for every operation that memory bounds; make(memory, rows, cols, type)
/// gives the operation. `memory` has tensor(rows, cols, type = F32), vector(size),
/// integers(size, below), number() and fill(view, value). Backward of norms and dropout run in
/// place, as the executor calls them.
template <class Sweep>
void sweep_memory_bound(Sweep sweep) {
  sweep("bias_forward", [](auto& m, auto r, auto c, auto t) {
    return BiasForward{m.tensor(r, c, t), m.tensor(1, c), m.tensor(r, c, t)};
  });
  sweep("bias_backward", [](auto& m, auto r, auto c, auto t) {
    return BiasBackward{m.tensor(r, c, t), m.tensor(1, c)};
  });
  sweep("layer_norm_forward", [](auto& m, auto r, auto c, auto t) {
    return LayerNormForward{m.tensor(r, c, t), m.tensor(1, c), m.tensor(1, c), 1e-5F,
                            m.tensor(r, c, t), m.vector(r),    m.vector(r)};
  });
  sweep("layer_norm_backward", [](auto& m, auto r, auto c, auto t) {
    const TensorView d = m.tensor(r, c, t);
    return LayerNormBackward{m.tensor(r, c, t), m.tensor(1, c), d, m.vector(r), m.vector(r), d,
                             m.tensor(1, c),    m.tensor(1, c)};
  });
  sweep("rms_norm_forward", [](auto& m, auto r, auto c, auto t) {
    return RmsNormForward{m.tensor(r, c, t), m.tensor(1, c), 1e-5F, m.tensor(r, c, t), m.vector(r)};
  });
  sweep("rms_norm_backward", [](auto& m, auto r, auto c, auto t) {
    const TensorView d = m.tensor(r, c, t);
    return RmsNormBackward{m.tensor(r, c, t), m.tensor(1, c), d, m.vector(r), d, m.tensor(1, c)};
  });
  const std::pair<const char*, Activation> kinds[] = {{"relu", Activation::Relu},
                                                      {"squared_relu", Activation::SquaredRelu},
                                                      {"gelu", Activation::Gelu},
                                                      {"gelu_tanh", Activation::GeluTanh}};
  for (const auto& [name, kind] : kinds) {
    sweep(std::string(name) + "_forward", [kind = kind](auto& m, auto r, auto c, auto t) {
      return ActivationForward{kind, m.tensor(r, c, t), m.tensor(r, c, t)};
    });
    sweep(std::string(name) + "_backward", [kind = kind](auto& m, auto r, auto c, auto t) {
      return ActivationBackward{kind, m.tensor(r, c, t), m.tensor(r, c, t), m.tensor(r, c, t)};
    });
  }
  sweep("swiglu_forward", [](auto& m, auto r, auto c, auto t) {
    return GatedActivationForward{Activation::Silu, m.tensor(r, c, t), m.tensor(r, c, t),
                                  m.tensor(r, c, t)};
  });
  sweep("swiglu_backward", [](auto& m, auto r, auto c, auto t) {
    return GatedActivationBackward{Activation::Silu,  m.tensor(r, c, t), m.tensor(r, c, t),
                                   m.tensor(r, c, t), m.tensor(r, c, t), m.tensor(r, c, t)};
  });
  sweep("rotary", [](auto& m, auto r, auto c, auto t) {
    return Rotary{.x = m.tensor(r, c, t),
                  .y = m.tensor(r, c, t),
                  .cosine = m.tensor(64, 64),
                  .sine = m.tensor(64, 64),
                  .head_dim = 128,
                  .sequence_len = 64};
  });
  sweep("cross_entropy_max", [](auto& m, auto r, auto c, auto t) {
    return CrossEntropyMax{m.tensor(r, c, t), m.vector(r)};
  });
  sweep("cross_entropy_sum", [](auto& m, auto r, auto c, auto t) {
    return CrossEntropySum{m.tensor(r, c, t), m.integers(r, c), 0,
                           m.vector(r),       m.vector(r),      m.vector(r)};
  });
  sweep("cross_entropy_loss", [](auto& m, auto r, auto c, auto t) {
    return CrossEntropyLoss{m.tensor(r, c, t), m.integers(r, c), 0,    m.vector(r),
                            m.vector(r),       m.vector(r),      1.0F, m.vector(r),
                            m.tensor(r, c, t)};
  });
  sweep("dropout", [](auto& m, auto r, auto c, auto t) {
    const TensorView x = m.tensor(r, c, t);
    return Dropout{.x = x, .y = x, .probability = 0.1F, .key = {1, 2}};
  });
  sweep("normal_fill",
        [](auto& m, auto r, auto c, auto t) { return NormalFill{.y = m.tensor(r, c, t)}; });
  sweep("embedding_forward", [](auto& m, auto r, auto c, auto t) {
    return EmbeddingForward{
        .ids = m.integers(r, r), .table = m.tensor(r, c, t), .y = m.tensor(r, c, t)};
  });
  sweep("embedding_backward", [](auto& m, auto r, auto c, auto t) {
    return EmbeddingBackward{
        .ids = m.integers(r, r), .dy = m.tensor(r, c, t), .dtable = m.tensor(r, c)};
  });
  sweep("residual_add", [](auto& m, auto r, auto c, auto t) {
    return ResidualAdd{m.tensor(r, c, t), m.tensor(r, c, t), m.tensor(r, c, t)};
  });
  sweep("copy", [](auto& m, auto r, auto c, auto t) {
    return Copy{m.tensor(r, c, t), m.tensor(r, c, t)};
  });
  sweep("fill", [](auto& m, auto r, auto c, auto t) { return Fill{m.tensor(r, c, t), 1.0F}; });
  sweep("adamw", [](auto& m, auto r, auto c, auto t) {
    AdamW op;
    op.parameter = m.tensor(r, c);
    op.first_moment = m.tensor(r, c);
    op.second_moment = m.tensor(r, c);
    m.fill(op.second_moment, 1.0F);
    op.gradient = m.tensor(r, c, t);
    if (t == ElementType::Bf16) op.copy = m.tensor(r, c, t);
    return op;
  });
  sweep("sum_of_squares", [](auto& m, auto r, auto c, auto t) {
    return SumOfSquares{m.tensor(r, c, t), m.number()};
  });
}

}  // namespace meshplan::kernels
