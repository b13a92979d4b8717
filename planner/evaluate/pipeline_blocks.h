#pragma once
#include <vector>

#include "planner/layout/layout.h"
#include "planner/model/transformer.h"
#include "planner/workload.h"

/// nanotron's pipeline: recorded runs state its degrees, and leave how it cuts a model to the
/// software. Source: huggingface/nanotron, build_model and the one-forward-one-backward engine.
namespace meshplan::planner {

/// Blocks in the order of the forward pass: the embedding, layers, the final norm, the head, the
/// cast of its logits, the loss. A stage ends with the block at which the cost so far reaches its
/// share of the whole; only layers and the head cost anything.
struct PipelineBlocks {
  std::vector<int> layers;   ///< of each stage
  bool empty_stage = false;  ///< the blocks ran out before the stages did
};
PipelineBlocks blocks_by_cost(const Transformer& model, int stages);

/// Whether the software starts this layout at all: it wants a block on every stage and at least
/// stages - 1 micro-batches.
bool starts_by_blocks(const Transformer& model, const Layout& layout, const Workload& workload);

}  // namespace meshplan::planner
