#pragma once
#include <cstdint>

#include "planner/layout/layout.h"
#include "planner/model/shard.h"

namespace meshplan::planner {

/// Bytes that one rank keeps for the backward of one layer and one micro-batch: the saved tensors
/// of the graph, each storage once, plus what operators keep themselves.
///
/// tokens = micro-batch * sequence / cp of this rank; kv_length = the whole sequence.
/// Recompute::Selective drops what lies inside core attention; Full keeps the layer's input only.
profiles::Bytes saved_activation_bytes(const OperatorGraph& layer, std::int64_t tokens,
                                       std::int64_t kv_length, const LayerSplit& split,
                                       Recompute recompute);
/// For layers without experts, or with etp = tp.
profiles::Bytes saved_activation_bytes(const OperatorGraph& layer, std::int64_t tokens,
                                       std::int64_t kv_length, int tp, bool sp,
                                       Recompute recompute);

/// The same where selective recomputation makes `repeated` of the products' results again, and all
/// element-wise work: kept are the layer's input, attention's output and statistics, and the other
/// products' results.
/// Source: torchtitan, selective activation checkpointing by operator (every second product).
profiles::Bytes kept_product_bytes(const OperatorGraph& layer, std::int64_t tokens,
                                   std::int64_t kv_length, const LayerSplit& split,
                                   double repeated);

/// Of these, and of the gradients that backward leaves behind, what a weight gradient of its own
/// needs (split backward: between B and W): the inputs of products with weights and the gradients
/// of their outputs, each storage once. Norms and biases finish in B. Not under full recomputation.
profiles::Bytes weight_grad_activation_bytes(const OperatorGraph& layer, std::int64_t tokens,
                                             std::int64_t kv_length, const LayerSplit& split);

}  // namespace meshplan::planner
