#pragma once
#include <vector>

#include "planner/layout/layout.h"
#include "planner/memory/launch_ahead.h"
#include "planner/memory/rank_parameters.h"
#include "planner/model/transformer.h"
#include "planner/workload.h"
#include "profiles/framework.h"
#include "profiles/units.h"

namespace meshplan::planner {

struct ModelGraphs;

/// Peak memory of one pipeline stage, term by term, on the rank that holds most.
///   allocated = the tensors, at the worst moment of the step
///   reserved  = what the caching allocator took from the device for them
///   device    = reserved + what lies outside the allocator: decides whether a layout fits
struct StageMemory {
  profiles::Bytes weights, gradients, optimizer;
  profiles::Bytes activations;  ///< kept for backward, of every micro-batch in flight
  profiles::Bytes loss;         ///< logits, their gradient, dense embedding and head gradients
  profiles::Bytes buffers;      ///< gathered parameters (ZeRO), rebuilt layer, transfer buffers
  profiles::Bytes workspace;    ///< cuBLAS and the framework's
  profiles::Bytes fragmentation;
  profiles::Bytes context;        ///< CUDA context, kernels, handles
  profiles::Bytes communicators;  ///< NCCL
  /// So full, what is freed late included, that the allocator retries: see Framework::retry.
  bool retries = false;

  [[nodiscard]] profiles::Bytes allocated() const {
    return weights + gradients + optimizer + activations + loss + buffers + workspace;
  }
  [[nodiscard]] profiles::Bytes reserved() const { return allocated() + fragmentation; }
  [[nodiscard]] profiles::Bytes device() const { return reserved() + context + communicators; }
};

/// Per-layer and per-micro-batch bytes that depend on (tp, sp, cp, ep, mbs, recompute) only, so
/// that a search computes them once for many layouts.
struct ActivationBytes {
  profiles::Bytes dense_layer, sparse_layer;      ///< kept per micro-batch
  profiles::Bytes dense_until_w, sparse_until_w;  ///< what stays from B to W of a split backward
  profiles::Bytes offloaded_dense, offloaded_sparse;  ///< the same, kept on the host instead
  profiles::Bytes rebuilt;      ///< of one layer while it runs backward under recomputation
  profiles::Bytes transient;    ///< of one layer's backward: gathered input, gradients in flight
  profiles::Bytes side_stream;  ///< gathered tensors freed late, with a full launch queue
  profiles::Bytes embedding;    ///< token ids, dropout mask
  profiles::Bytes head_input;   ///< final norm and head inputs
  profiles::Bytes head_input_gpipe;  ///< the same under GPipe
  profiles::Bytes logits;            ///< at the framework's bytes per logit
  profiles::Bytes boundary;          ///< one transfer between stages
  LayerPace pace;                    ///< of a dense layer; left to who prices (price_book.h)
};
ActivationBytes activation_bytes(const Transformer& model, const ModelGraphs& graphs,
                                 const Layout& layout, const Workload& workload,
                                 const profiles::Framework& framework);

/// What a stage holds before states are sharded: the same for every ZeRO stage of a layout.
struct StageLoad {
  ParameterCount parameters;
  profiles::Bytes activations;  ///< of all micro-batches in flight, at the worst moment
  int layers = 0;
};
/// Of every stage; `split` = layers per chunk. Writes into `out` (size pp), so that a search
/// allocates nothing.
void stage_loads(const Transformer& model, const Layout& layout, const Workload& workload,
                 const std::vector<int>& split, const RankParameters& parameters,
                 const ActivationBytes& activations, std::vector<StageLoad>& out);

/// Memory of every stage of `layout`. `loads`, `parameters` and `activations` as computed for it.
/// Writes into `out` (size pp).
void stage_memory(const Problem& problem, const Layout& layout, const std::vector<StageLoad>& loads,
                  const RankParameters& parameters, const ActivationBytes& activations,
                  std::vector<StageMemory>& out);

/// Peak on the device of the fullest stage.
profiles::Bytes peak_bytes(const std::vector<StageMemory>& stages);

}  // namespace meshplan::planner
