#include "planner/search/placement_book.h"

#include <algorithm>

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

}  // namespace

const std::vector<PlacedOrders>& PlacementBook::of(const Layout& layout) {
  const auto key = std::make_tuple(layout.tp, layout.cp, layout.pp, layout.dp, layout.ep);
  const auto [at, fresh] = placed_.try_emplace(key);
  if (!fresh) return at->second;
  std::vector<PlacedOrders>& placed = at->second;
  const Degrees degrees{layout.tp, layout.cp, layout.pp, layout.dp, layout.ep, layout.mbs};
  std::int64_t index = 0;
  for (const auto& order : space_.orders(degrees)) {
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
  const auto key =
      std::make_tuple(layout.tp, layout.cp, layout.pp, layout.dp, layout.ep, layout.mbs, layout.sp,
                      layout.recompute, layout.overlap == Overlap::GradParamTp);
  const auto [at, fresh] = cheapest_.try_emplace(key);
  if (!fresh) return at->second;
  bool first = true;
  for (const PlacedOrders& placed : of(layout)) {
    const BlockPrices prices = book_.prices(layout, placed.where);
    if (first) {
      at->second = prices;
      first = false;
      continue;
    }
    keep_cheaper(at->second.dense_layer, prices.dense_layer);
    keep_cheaper(at->second.sparse_layer, prices.sparse_layer);
    keep_cheaper(at->second.embedding, prices.embedding);
    keep_cheaper(at->second.head, prices.head);
  }
  return at->second;
}

}  // namespace meshplan::planner
