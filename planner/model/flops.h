#pragma once
#include "planner/layout/layout.h"
#include "planner/model/operators.h"
#include "planner/model/transformer.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// How many keys a query is counted to see in attention over a sequence of s tokens.
enum class AttentionConvention {
  Causal,  ///< what the mask leaves: (s + 1) / 2 on average; fewer with a sliding window
  Full,    ///< all s, as Megatron and the PaLM paper's MFU count; also a decode step over s keys
};

/// Mean number of keys a query attends to.
double attended_keys(const Operator& op, double kv_length, AttentionConvention convention);

/// Forward FLOPs of the operator over the whole model, before any split. Matrix products only, a
/// multiply-add counts as two: norms, activations and softmax are bound by memory (traffic.h) and
/// no definition of MFU counts them.
///   Gemm: 2 tokens input output.  Attention: 2 tokens keys heads (head_dim + value_head_dim).
profiles::Flops forward_flops(const Operator& op, double tokens, double kv_length,
                              AttentionConvention convention = AttentionConvention::Causal);

/// Backward FLOPs. Attention has no weights: both its products cost twice their forward, all of it
/// in input_grad.
struct BackwardFlops {
  profiles::Flops input_grad, weight_grad;
  /// Fused attention computes Q K^T again (half of its forward when head dims are equal). Executed,
  /// hence in HFU, but not model FLOPs.
  profiles::Flops rebuilt;
};
BackwardFlops backward_flops(const Operator& op, double tokens, double kv_length,
                             AttentionConvention convention = AttentionConvention::Causal);

/// Forward FLOPs of a graph (one layer, the head) for `tokens` tokens.
profiles::Flops forward_flops(const OperatorGraph& graph, double tokens, double kv_length,
                              AttentionConvention convention = AttentionConvention::Causal);

/// Forward FLOPs per token of the whole model (layers and head) on sequences of `seq_len`.
profiles::Flops forward_flops_per_token(const Transformer& model, double seq_len,
                                        AttentionConvention convention);
/// Model FLOPs per token of training, as MFU counts them: 3 x forward, no recomputation.
profiles::Flops model_flops_per_token(const Transformer& model, double seq_len,
                                      AttentionConvention convention);
/// FLOPs per token that training executes, as HFU counts them: the model's, the forward of all
/// layers again under full recomputation, of core attention under selective, and Q K^T again in the
/// backward of a fused attention. Embedding and head are never recomputed.
profiles::Flops executed_flops_per_token(const Transformer& model, double seq_len,
                                         AttentionConvention convention, Recompute recompute,
                                         bool flash_attention);
/// The same for a whole sequence.
profiles::Flops forward_flops_per_sequence(const Transformer& model, double seq_len,
                                           AttentionConvention convention);
profiles::Flops model_flops_per_sequence(const Transformer& model, double seq_len,
                                         AttentionConvention convention);

}  // namespace meshplan::planner
