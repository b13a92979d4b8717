#pragma once
#include "planner/layout/layout.h"

namespace meshplan::planner {

/// Coordinates of a rank in its layout.
struct RankPlace {
  int tp = 0, cp = 0, dp = 0, pp = 0;
  friend bool operator==(const RankPlace&, const RankPlace&) = default;

  [[nodiscard]] constexpr int& on(Axis axis) {
    return axis == Axis::Tp ? tp : axis == Axis::Cp ? cp : axis == Axis::Dp ? dp : pp;
  }
};

/// Number of the rank at `place`: axes in the layout's order, fastest first.
constexpr int rank_of(const Layout& layout, RankPlace place) {
  RankPlace degrees{layout.tp, layout.cp, layout.dp, layout.pp};
  int rank = 0;
  int stride = 1;
  for (const Axis axis : layout.order) {
    rank += place.on(axis) * stride;
    stride *= degrees.on(axis);
  }
  return rank;
}

/// The inverse.
constexpr RankPlace place_of(const Layout& layout, int rank) {
  RankPlace degrees{layout.tp, layout.cp, layout.dp, layout.pp};
  RankPlace place;
  for (const Axis axis : layout.order) {
    place.on(axis) = rank % degrees.on(axis);
    rank /= degrees.on(axis);
  }
  return place;
}

}  // namespace meshplan::planner
