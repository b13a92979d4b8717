#pragma once
#include <vector>

#include "planner/cost/layer_cost.h"
#include "planner/layout/layout.h"
#include "planner/memory/rank_parameters.h"
#include "planner/simulate/costs.h"
#include "profiles/cluster.h"

namespace meshplan::planner {

/// Prices of a layout's building blocks per micro-batch.
struct BlockPrices {
  BlockCost dense_layer, sparse_layer, embedding, head;
};

/// Prices of the compute-stream instructions on each chunk: layers, and embedding and head at the
/// ends. `split` = layers per chunk. Nothing of data parallelism or transfers yet.
std::vector<ChunkCost> chunk_costs(const Transformer& model, const std::vector<int>& split,
                                   const BlockPrices& blocks);

/// Data parallelism of a layout: which groups reduce and gather.
struct ReplicaGroups {
  const CollectiveModel& dense;     ///< dp * cp ranks, or the shards of hsdp
  const CollectiveModel& experts;   ///< replicas of one expert
  const CollectiveModel& replicas;  ///< hsdp: replicas of one shard
  const CollectiveModel& world;     ///< all ranks: the gradient norm
  const CollectiveModel& ends;      ///< first and last stage: tied embeddings
  bool dense_crosses_nodes = false;
  bool stalled_transfers = false;  ///< see Framework::stalled_transfer
  bool stalled_reduce = false;     ///< see Framework::stalled_ranks
};

/// What a transfer to the neighbouring stage crosses, by the stage that sends.
struct PipelineHops {
  std::vector<HopCost> forward;   ///< stage s to (s + 1) % pp
  std::vector<HopCost> backward;  ///< stage s to (s - 1 + pp) % pp
  std::vector<bool> crosses_nodes;
};

/// The whole price list that the simulator interprets.
///
/// Gradients: all-reduce (ZeRO-0) or reduce-scatter (ZeRO-1) of reduction_bytes per parameter, in
/// buckets of 40M parameters beside backward where the layout overlaps them, else after the last
/// backward. ZeRO-2 keeps no whole gradient: it reduces layer by layer in every micro-batch; ZeRO-3
/// also gathers every layer for forward and again for backward; of both only what exceeds the
/// compute beside it shows. Where a pipeline defers reductions they follow all compute, one a
/// layer. ZeRO-1 and 2 gather updated parameters, beside the first forward or
/// before it. Optimizer: every byte of the shard's states read and written once. Before the norm
/// the first and the last stage add up their gradients of tied embeddings.
ScheduleCosts schedule_costs(const CostContext& context, const Layout& layout,
                             const std::vector<int>& split, const BlockPrices& blocks,
                             const RankParameters& parameters, const ReplicaGroups& groups,
                             const PipelineHops& hops);

}  // namespace meshplan::planner
