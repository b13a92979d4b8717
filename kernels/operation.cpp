#include "kernels/operation.h"

#include <array>

namespace meshplan::kernels {

std::string_view name(const Operation& operation) {
  // In the order of the variant.
  static constexpr std::array<std::string_view, std::variant_size_v<Operation>> kNames = {
      "gemm",
      "bias_forward",
      "bias_backward",
      "layer_norm_forward",
      "layer_norm_backward",
      "rms_norm_forward",
      "rms_norm_backward",
      "activation_forward",
      "activation_backward",
      "gated_activation_forward",
      "gated_activation_backward",
      "rotary_table",
      "rotary",
      "attention_forward",
      "attention_backward",
      "attention_merge",
      "cross_entropy_max",
      "cross_entropy_sum",
      "cross_entropy_loss",
      "normal_fill",
      "dropout",
      "embedding_forward",
      "embedding_backward",
      "residual_add",
      "copy",
      "fill",
      "adamw",
      "sum_of_squares",
  };
  return kNames[operation.index()];
}

}  // namespace meshplan::kernels
