#include "planner/search/family_bounds.h"

#include "planner/layout/legality.h"
#include "planner/schedule/bounds.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

Overlap overlap_of(bool overlaps_tp) { return overlaps_tp ? Overlap::GradParamTp : Overlap::None; }

}  // namespace

Seconds FamilyBounds::work_bound(const Family& family, bool overlaps_tp) {
  const Layout layout = member(space_, family, 0, overlap_of(overlaps_tp));
  const BlockPrices& blocks = placements_.cheapest_prices(layout);
  const auto work = [](const BlockCost& block) {
    return block.forward.total() + block.recompute.total() + block.input_grad.total() +
           block.weight_grad.total();
  };
  const int sparse = sparse_layers(problem_.model, 0, problem_.model.layers);
  const double dense = problem_.model.layers - sparse;
  // Embedding and head are never recomputed.
  const Seconds ends = work(blocks.embedding) - blocks.embedding.recompute.total() +
                       work(blocks.head) - blocks.head.recompute.total();
  const Seconds all = dense * work(blocks.dense_layer) +
                      static_cast<double>(sparse) * work(blocks.sparse_layer) + ends;
  constexpr double kRounding = 1 - 1e-12;  // sums in another order may differ in the last bits
  return kRounding * microbatches(layout, problem_.workload) * all / layout.pp;
}

Seconds FamilyBounds::schedule_bound(const Family& family, bool overlaps_tp) {
  const Layout layout = member(space_, family, 0, overlap_of(overlaps_tp));
  const BlockPrices& blocks = placements_.cheapest_prices(layout);
  costs_.chunks = chunk_costs(problem_.model, splits_.of(layout), blocks);
  costs_.stages.assign(static_cast<std::size_t>(layout.pp), StageCost{});
  costs_.hops_forward.assign(costs_.chunks.size(), HopCost{});
  costs_.hops_backward.assign(costs_.chunks.size(), HopCost{});
  return step_lower_bound(layout.schedule, costs_, layout.pp, layout.chunks_per_stage(),
                          microbatches(layout, problem_.workload), problem_.global_sync);
}

}  // namespace meshplan::planner
