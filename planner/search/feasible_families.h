#pragma once
#include <optional>
#include <vector>

#include "planner/cost/price_book.h"
#include "planner/search/family.h"
#include "planner/search/search.h"
#include "planner/search/split_book.h"

namespace meshplan::planner {

/// What is left of a space when every layout that breaks a rule or does not fit is taken out.
struct FeasibleFamilies {
  std::vector<Family> families;  ///< with at least one layout each, in the order of the space
  SearchReport counts;           ///< candidates, feasible, rejected
  /// The layout of least peak among those that are legal and allowed and do not fit.
  struct Miss {
    Layout layout;
    profiles::Bytes peak;
  };
  std::optional<Miss> nearest_miss;
};

/// Judges every layout of `space`: the planner's rules first, then `refusing_rule` (may be empty),
/// then memory. Rules that hold or fail for everything under some degrees are judged once; memory
/// once for all overlaps, cp_kinds and orders: it is the same for them.
FeasibleFamilies feasible_families(const SearchSpace& space, const RefusingRule& refusing_rule,
                                   PriceBook& book, SplitBook& splits);

}  // namespace meshplan::planner
