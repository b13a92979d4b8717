#pragma once
#include "runtime/execute/norm.h"
#include "runtime/execute/tensor_parallel.h"

namespace meshplan::runtime {

/// What one layer keeps of one micro-batch from forward to backward. Rows: n of the micro-batch, or
/// n / t of the residual stream under sequence parallelism. With full recomputation only the input
/// is kept; with selective, everything but the statistics of the attention.
struct LayerSaved {
  NormSaved norm1;  ///< its input is the layer's
  Tensor normed1;   ///< input of qkv
  Tensor qkv;       ///< after the rotation
  Tensor attended, log_sum_exp;
  NormSaved norm2;
  Tensor normed2;        ///< input of up
  Tensor up, activated;  ///< before and after the activation
};

/// x + projection(attention(norm x)) = m;  m + down(activation(up(norm m))). `layer` counts in the
/// whole model.
///
///   x -> norm -> [gather] -> qkv -> rotary -> attention -> projection -> [reduce] -> +x = m
///   m -> norm -> [gather] -> up -> activation -> down -> [reduce] -> +m
Tensor layer_forward(RankContext& context, const LayerParameters& parameters, int layer,
                     const Tensor& input, int microbatch, LayerSaved& saved);

/// What is left of `saved` for the time until backward, by the layout's recomputation.
void keep_for_backward(const RankContext& context, LayerSaved& saved);

/// The gradient of the layer's input from that of its output, which stays as it is. Takes `saved`
/// apart. Rebuilds first what was not kept.
Tensor layer_backward(RankContext& context, const LayerParameters& parameters, int layer,
                      LayerSaved saved, const Tensor& gradient, int microbatch,
                      WeightGradients& weight_gradients);

}  // namespace meshplan::runtime
