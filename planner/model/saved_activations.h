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
/// What recomputation rebuilds for the moment of backward: rebuilt_activation_bytes.
profiles::Bytes saved_activation_bytes(const OperatorGraph& layer, std::int64_t tokens,
                                       std::int64_t kv_length, const LayerSplit& split,
                                       Recompute recompute);
/// For layers without experts, or with etp = tp.
profiles::Bytes saved_activation_bytes(const OperatorGraph& layer, std::int64_t tokens,
                                       std::int64_t kv_length, int tp, bool sp,
                                       Recompute recompute);

/// Of these, and of the gradients that backward leaves behind, what a weight gradient of its own
/// needs (split backward: between B and W): the inputs of products with weights and the gradients
/// of their outputs, each storage once. Norms and biases finish in B. Not under full recomputation.
profiles::Bytes weight_grad_activation_bytes(const OperatorGraph& layer, std::int64_t tokens,
                                             std::int64_t kv_length, const LayerSplit& split);

/// Bytes rebuilt once per device while one recomputed layer runs backward: all that is kept without
/// recomputation minus what was kept.
profiles::Bytes rebuilt_activation_bytes(const OperatorGraph& layer, std::int64_t tokens,
                                         std::int64_t kv_length, const LayerSplit& split,
                                         Recompute recompute);

}  // namespace meshplan::planner
