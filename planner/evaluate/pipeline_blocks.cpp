#include "planner/evaluate/pipeline_blocks.h"

#include "planner/layout/legality.h"

namespace meshplan::planner {

PipelineBlocks blocks_by_cost(const Transformer& model, int stages) {
  const std::int64_t attention = std::int64_t{model.head_dim} * 2 * (model.heads + model.kv_heads);
  const std::int64_t layer = attention + std::int64_t{model.gated() ? 3 : 2} * model.ffn;
  const std::int64_t whole = model.layers * layer + model.vocab;
  PipelineBlocks out;
  out.layers.resize(static_cast<std::size_t>(stages));
  std::int64_t done = 0;
  int stage = 0;
  int used = 0;  // stages that hold a block
  const auto place = [&](std::int64_t cost) {
    used = stage + 1;
    done += cost;
    if (done * stages >= (stage + 1) * whole && stage + 1 < stages) ++stage;
  };
  place(0);  // the embedding
  for (int l = 0; l < model.layers; ++l) {
    ++out.layers[static_cast<std::size_t>(stage)];
    place(layer);
  }
  place(0);            // the final norm
  place(model.vocab);  // the head
  place(0);            // the cast of the logits
  place(0);            // the loss
  out.empty_stage = used < stages;
  return out;
}

bool starts_by_blocks(const Transformer& model, const Layout& layout, const Workload& workload) {
  if (layout.pp == 1) return true;
  return microbatches(layout, workload) >= layout.pp - 1 &&
         !blocks_by_cost(model, layout.pp).empty_stage;
}

}  // namespace meshplan::planner
