#pragma once
#include <string_view>
#include <variant>

#include "kernels/activation.h"
#include "kernels/adamw.h"
#include "kernels/attention.h"
#include "kernels/bias.h"
#include "kernels/cross_entropy.h"
#include "kernels/dropout.h"
#include "kernels/elementwise.h"
#include "kernels/embedding.h"
#include "kernels/gemm.h"
#include "kernels/layer_norm.h"
#include "kernels/random.h"
#include "kernels/rms_norm.h"
#include "kernels/rotary.h"

namespace meshplan::kernels {

/// Every operation a back end runs.
using Operation =
    std::variant<Gemm, BiasForward, BiasBackward, LayerNormForward, LayerNormBackward,
                 RmsNormForward, RmsNormBackward, ActivationForward, ActivationBackward,
                 GatedActivationForward, GatedActivationBackward, RotaryTable, Rotary,
                 AttentionForward, AttentionBackward, AttentionMerge, CrossEntropyMax,
                 CrossEntropySum, CrossEntropyLoss, NormalFill, Dropout, EmbeddingForward,
                 EmbeddingBackward, ResidualAdd, Copy, Fill, AdamW, SumOfSquares>;

/// "gemm", "layer_norm_backward", ...: the row of the operation in profiles and benchmarks.
std::string_view name(const Operation& operation);

/// Each operand once; what the roofline charges.
inline std::int64_t bytes_moved(const Operation& operation) {
  return std::visit([](const auto& op) { return bytes_moved(op); }, operation);
}

/// Floating-point operations of GEMMs and attention; 0 for what memory bounds.
inline double flops(const Operation& operation) {
  if (const auto* gemm = std::get_if<Gemm>(&operation)) return flops(*gemm);
  if (const auto* forward = std::get_if<AttentionForward>(&operation)) return flops(*forward);
  if (const auto* backward = std::get_if<AttentionBackward>(&operation)) return flops(*backward);
  return 0.0;
}

}  // namespace meshplan::kernels
