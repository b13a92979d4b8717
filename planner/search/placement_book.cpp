#include "planner/search/placement_book.h"

#include <algorithm>
#include <optional>

namespace meshplan::planner {
namespace {

void keep_cheaper(BlockCost& best, const BlockCost& other) {
  const auto keep = [](Work& a, const Work& b) {
    if (b.total() < a.total()) a = b;
  };
  keep(best.forward, other.forward);
  keep(best.input_grad, other.input_grad);
  keep(best.weight_grad, other.weight_grad);
  keep(best.recompute, other.recompute);
}

Degrees degrees_of(const Layout& layout) {
  return {layout.tp, layout.cp, layout.pp, layout.dp, layout.ep, layout.mbs, layout.etp};
}

}  // namespace

const std::vector<PlacedOrders>& PlacementBook::of(const Layout& layout) {
  const auto key =
      std::make_tuple(layout.tp, layout.cp, layout.pp, layout.dp, layout.ep, layout.expert_tp());
  const auto [at, fresh] = placed_.try_emplace(key);
  if (!fresh) return at->second;
  std::vector<PlacedOrders>& placed = at->second;
  std::int64_t index = 0;
  for (const auto& order : space_.orders(degrees_of(layout))) {
    Layout ordered = layout;
    ordered.order = order;
    const Placement where = placement(ordered, book_.problem().cluster);
    auto same = std::find_if(placed.begin(), placed.end(),
                             [&](const PlacedOrders& p) { return p.where == where; });
    if (same == placed.end()) same = placed.insert(same, PlacedOrders{where, {}});
    same->orders.push_back({order, index++});
  }
  return placed;
}

const BlockPrices& PlacementBook::cheapest_prices(const Layout& layout) {
  const auto key = std::make_tuple(layout.tp, layout.cp, layout.pp, layout.dp, layout.ep,
                                   layout.expert_tp(), layout.mbs, layout.sp, layout.recompute,
                                   layout.overlap == Overlap::GradParamTp);
  const auto [at, fresh] = cheapest_.try_emplace(key);
  if (!fresh) return at->second;
  const Degrees degrees = degrees_of(layout);
  std::optional<BlockPrices> cheapest;
  for (const ContextKind kind : space_.context_kinds(degrees)) {
    Layout exchanged = layout;
    exchanged.cp_kind = kind;
    for (const PlacedOrders& placed : of(layout)) {
      const BlockPrices prices = book_.prices(exchanged, placed.where);
      if (!cheapest) cheapest = prices;
      keep_cheaper(cheapest->dense_layer, prices.dense_layer);
      keep_cheaper(cheapest->sparse_layer, prices.sparse_layer);
      keep_cheaper(cheapest->embedding, prices.embedding);
      keep_cheaper(cheapest->head, prices.head);
    }
  }
  at->second = *cheapest;
  return at->second;
}

}  // namespace meshplan::planner
