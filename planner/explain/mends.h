#pragma once
#include <optional>
#include <string>
#include <vector>

#include "planner/cost/price_book.h"
#include "planner/explain/failures.h"
#include "planner/plan.h"

namespace meshplan::planner {

constexpr int kMostTurns = 3;  ///< how far from a layout others are looked for

/// A knob that makes a failing layout run, and what it costs.
struct Mend {
  std::string knob;    ///< "recompute"; "cluster" for more nodes
  std::string change;  ///< "recompute=full"; "16 nodes instead of 8"
  std::string also;    ///< what else must change, for the other constraints; "" if nothing
  Plan plan;           ///< of the whole layout, mended
};

/// A knob that gives memory back, but not enough.
struct Relief {
  std::string change;
  profiles::Bytes saved;  ///< of the fullest stage, before and after
};

/// How one failure can be mended.
struct Mending {
  Failure failure;
  std::vector<Mend> mends;  ///< one a knob, at its cheapest value; fastest first, more nodes last
  std::vector<std::string> cleared_by;  ///< single turns that clear it, where no mend runs
  std::vector<Relief> reliefs;          ///< of memory, where no one knob mends it; most first
};

/// A layout that runs, as few knobs away as there is one.
struct Nearest {
  int turns = 0;
  std::string change;  ///< "pp4, dp2"
  Plan plan;           ///< the fastest at that distance
};

/// Mends of every failure of `layout`. A mend clears its failure and breaks nothing else; where
/// other failures remain, it is priced with the fewest further turns (at most two, of other knobs)
/// that clear them too. Prices are exact: see fastest.h.
std::vector<Mending> mendings(PriceBook& book, const Layout& layout,
                              const std::vector<Failure>& failures);

/// None within three turns.
std::optional<Nearest> nearest_running(PriceBook& book, const Layout& layout);

}  // namespace meshplan::planner
