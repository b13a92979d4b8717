#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// The one description of a transformer that cost, memory and execution read.
///
///   layer:  input -> input_norm -> qkv -> rotary -> attention -> attention_output -> + -> mlp_norm
///             -> mlp_up -> mlp_activation -> mlp_down -> + -> output
///
/// A vertex is an operator of the whole model, before any split; it says how it is split. An edge
/// is an activation tensor; it says how it lies on the ranks and whether backward needs it. What
/// one rank holds and computes of both: shard.h. Floating-point operations: flops.h. Bytes moved:
/// traffic.h. Parameters: parameters.h. Bytes kept for backward: saved_activations.h.
namespace meshplan::planner {

/// What one operator computes.
enum class OperatorKind {
  Input,        ///< where the residual stream (or the token ids) comes in; no work
  Embedding,    ///< table lookup
  Norm,         ///< layer norm or RMS norm
  Gemm,         ///< y = x W (+ b)
  GroupedGemm,  ///< one GEMM per routed expert
  Rotary,
  Attention,   ///< fused (flash) core attention: scores, softmax, weighted sum
  Scores,      ///< unfused core attention: Q K^T per head
  Softmax,     ///< unfused: rows of the scores
  Context,     ///< unfused: probabilities times V
  Activation,  ///< GELU, SwiGLU, ...
  Dropout,
  Residual,  ///< addition of the residual stream
  Router,    ///< scores and top-k of the experts
  Dispatch,  ///< tokens to their experts (all-to-all under ep)
  Combine,   ///< back, weighted
  Loss,      ///< softmax cross-entropy over the vocabulary
  Output,    ///< where the result leaves; no work
};

/// How the operator's work and parameters are cut over the tensor-parallel group.
enum class Split {
  Replicated,  ///< every rank does it all
  Sequence,    ///< work by sequence under sequence parallelism, else replicated; parameters whole
  Column,      ///< weight columns: output features
  Row,         ///< weight rows: input features; the output is a partial sum
  Heads,       ///< attention heads; columns of the projections that make them
  Vocabulary,  ///< rows of the embedding, columns of the head
  Experts,     ///< whole experts over the expert-parallel group, their widths over etp
};

/// How a tensor between operators lies over the tensor-parallel group.
enum class Spread {
  Replicated,  ///< a full copy on every rank, whatever the options
  Sequence,    ///< ÷tp under sequence parallelism, else a full copy
  Tensor,      ///< ÷tp by features or heads
  Dispatched,  ///< tokens at their experts: × etp/tp (etp = tp: a full copy), balanced routing
};

/// An activation tensor [tokens, width] of the whole model.
struct Tensor {
  std::string name;
  std::int64_t width = 0;     ///< elements per token (attention_scores: per token and key)
  int bytes_per_element = 2;  ///< 1 for masks, 4 for fp32 statistics
  Spread spread = Spread::Sequence;
  int units = 0;       ///< > 0: cut by whole units, ceil(units / tp) each (kv heads are replicated
                       ///< when there are fewer than ranks)
  bool saved = false;  ///< the backward of an operator at one of its ends needs it
  int storage = -1;    ///< edges with equal storage are one tensor in memory; unique in its graph
  bool attention_scores = false;  ///< [heads, tokens, keys]: bytes grow with the kv length too
  bool core_attention = false;    ///< dropped and rebuilt by selective recomputation
};

/// One operator of the whole model.
struct Operator {
  std::string name = {};  ///< "qkv", "attention", "mlp_down", ...
  OperatorKind kind = OperatorKind::Gemm;
  Split split = Split::Replicated;
  /// Gemm, GroupedGemm (of one expert), Router: input and output features. Others: widths per
  /// token.
  int input = 0, output = 0;
  /// Attention, Scores, Softmax, Context, Rotary, and the projection "qkv": heads of queries, and
  /// of keys and values; head_dim of queries and keys, value_head_dim of values.
  int heads = 0, kv_heads = 0, head_dim = 0, value_head_dim = 0;
  std::optional<int> window = std::nullopt;  ///< attention: keys a query sees at most
  double window_share = 1;      ///< of the layers it stands for; the others see every key
  int experts = 0;              ///< Router, Dispatch, GroupedGemm, Combine: routed experts
  int experts_per_token = 0;    ///< and how many of them each token visits
  bool expert_rows = false;     ///< GroupedGemm: etp cuts the rows (down projection), else columns
  std::int64_t parameters = 0;  ///< cut by `split`
  std::int64_t replicated_parameters = 0;  ///< whole on every rank: norms, biases after Row
  std::int64_t tied_parameters = 0;  ///< weights that are the embedding's: counted there, held
                                     ///< again by the last pipeline stage
  bool gathers_input = false;   ///< f of Megatron: all-reduce of the input gradient; under sequence
                                ///< parallelism all-gather forward, reduce-scatter backward
  bool reduces_output = false;  ///< g: all-reduce of the output; under sequence parallelism
                                ///< reduce-scatter forward, all-gather backward
  std::vector<Tensor> kept = {};  ///< for its own backward besides its edges: masks, statistics
};

/// Operators and the tensors between them: operator_graph.h.
class OperatorGraph;

}  // namespace meshplan::planner
