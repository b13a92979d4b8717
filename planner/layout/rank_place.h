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

/// Ranks along `axis`.
constexpr int degree(const Layout& layout, Axis axis) {
  return RankPlace{layout.tp, layout.cp, layout.dp, layout.pp}.on(axis);
}

/// Number of the rank at `place`: axes in the layout's order, fastest first.
constexpr int rank_of(const Layout& layout, RankPlace place) {
  int rank = 0;
  int stride = 1;
  for (const Axis axis : layout.order) {
    rank += place.on(axis) * stride;
    stride *= degree(layout, axis);
  }
  return rank;
}

/// The inverse.
constexpr RankPlace place_of(const Layout& layout, int rank) {
  RankPlace place;
  for (const Axis axis : layout.order) {
    place.on(axis) = rank % degree(layout, axis);
    rank /= degree(layout, axis);
  }
  return place;
}

}  // namespace meshplan::planner
