#pragma once
#include <boost/graph/adjacency_list.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "planner/model/transformer.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// What one operator computes.
enum class OperatorKind {
  Embedding,     ///< table lookup
  Norm,          ///< layer norm or RMS norm
  Gemm,          ///< y = x W (+ b)
  GroupedGemm,   ///< one GEMM per routed expert
  Rotary,
  Attention,     ///< scores, softmax, weighted sum (core attention)
  Activation,    ///< GELU, SwiGLU, ...
  Dropout,
  Residual,      ///< addition of the residual stream
  Router,        ///< scores and top-k of the experts
  Dispatch,      ///< tokens to their experts (all-to-all under ep)
  Combine,       ///< back, weighted
  Loss,          ///< softmax cross-entropy over the vocabulary
};

/// How the operator's work and parameters are cut over the tensor-parallel group.
enum class Split {
  Replicated,  ///< every rank does it all (without sequence parallelism also: Sequence)
  Column,      ///< weight columns: output features
  Row,         ///< weight rows: input features; the output is a partial sum
  Heads,       ///< attention heads
  Vocabulary,  ///< rows of the embedding, columns of the head
  Sequence,    ///< by sequence under sequence parallelism, replicated without
  Experts,     ///< whole experts over the expert-parallel group, their widths over etp
};

/// How a tensor between operators lies over the tensor-parallel group.
enum class Spread {
  Replicated,  ///< a full copy on every rank, whatever the options
  Sequence,    ///< ÷tp under sequence parallelism, else a full copy
  Tensor,      ///< ÷tp by features or heads
};

/// An edge: one activation tensor, [tokens, width].
/// bytes = tokens * width * bytes_per_element (÷tp as `spread` says).
struct Tensor {
  std::string name;
  double width = 0;              ///< elements per token; scores of attention: heads * kv length
  double bytes_per_element = 2;  ///< 1 for masks, 4 for fp32 statistics
  Spread spread = Spread::Sequence;
  /// Which operator's backward needs it; tensors with the same `storage` are counted once.
  bool saved = false;
  int storage = -1;       ///< tensors with equal storage >= 0 share memory
  bool attention_scores = false;  ///< [heads, s, s]: what selective recomputation drops
};

/// A node: one operator, per token unless said otherwise.
struct Operator {
  std::string name;  ///< "qkv", "attention", "mlp_down", ...
  OperatorKind kind = OperatorKind::Gemm;
  Split split = Split::Replicated;
  /// Gemm: input and output features (whole model, before tp). Norm, activation: width in `input`.
  int input = 0, output = 0;
  /// Of the split extent, the least that a rank holds: kv heads are replicated when fewer than tp.
  std::int64_t parameters = 0;             ///< cut by `split`
  std::int64_t replicated_parameters = 0;  ///< biases after a row-parallel GEMM, norms
  bool gathers_input = false;   ///< column-parallel: f (sp: all-gather forward) before it
  bool reduces_output = false;  ///< row-parallel: g (all-reduce, or sp: reduce-scatter) after it
};

/// Operators of one layer, the embedding or the head, and the tensors between them.
using OperatorGraph =
    boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS, Operator, Tensor>;

}  // namespace meshplan::planner
