#pragma once
#include "planner/search/family.h"
#include "planner/search/placement_book.h"
#include "planner/search/split_book.h"
#include "planner/simulate/costs.h"

namespace meshplan::planner {

/// Lower bounds on the simulated step that hold for every layout of a family with the given answer
/// to: is tensor-parallel communication overlapped? They price the groups inside a layer where
/// they are cheapest, and what lies between stages and replicas as free.
class FamilyBounds {
 public:
  FamilyBounds(const SearchSpace& space, PriceBook& book, PlacementBook& placements,
               SplitBook& splits)
      : space_(space), problem_(book.problem()), placements_(placements), splits_(splits) {}

  /// The busiest stage works at least as long as the stages do on average. Cheap.
  profiles::Seconds work_bound(const Family& family, bool overlaps_tp);
  /// The schedule's own bound.
  profiles::Seconds schedule_bound(const Family& family, bool overlaps_tp);

 private:
  const SearchSpace& space_;
  const Problem& problem_;
  PlacementBook& placements_;
  SplitBook& splits_;
  ScheduleCosts costs_;  ///< scratch
};

}  // namespace meshplan::planner
