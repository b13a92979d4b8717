#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "planner/cost/price_book.h"
#include "planner/search/search_space.h"

namespace meshplan::planner {

/// Orders of axes that put a layout's groups in the same places, and so cost the same.
struct PlacedOrders {
  struct Order {
    std::array<Axis, 4> order;
    std::int64_t index = 0;  ///< among all orders of the space
  };
  Placement where;
  std::vector<Order> orders;
};

/// Where the orders of a space put the groups of its layouts; each set of degrees is placed once.
class PlacementBook {
 public:
  PlacementBook(const SearchSpace& space, PriceBook& book) : space_(space), book_(book) {}

  /// By placement, in the order in which the space comes upon them.
  const std::vector<PlacedOrders>& of(const Layout& layout);

  /// Block prices that no placement and no cp_kind of the layout beats: each pass by its cheapest.
  /// Shared by all pipelines, ZeRO stages and orders.
  const BlockPrices& cheapest_prices(const Layout& layout);

 private:
  const SearchSpace& space_;
  PriceBook& book_;
  std::map<std::tuple<int, int, int, int, int, int>, std::vector<PlacedOrders>> placed_;
  std::map<std::tuple<int, int, int, int, int, int, int, bool, Recompute, bool>, BlockPrices>
      cheapest_;
};

}  // namespace meshplan::planner
