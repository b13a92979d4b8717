#pragma once
#include "planner/cost/price_book.h"
#include "planner/plan.h"
#include "planner/problem.h"
#include "planner/schedule/schedule.h"
#include "planner/simulate/costs.h"
#include "planner/simulate/simulate.h"

namespace meshplan::planner {

/// A layout made ready for the simulator: its split, prices and schedule.
struct PreparedLayout {
  std::vector<int> split;  ///< layers per chunk
  ScheduleCosts costs;
  Schedule schedule;
  std::vector<StageMemory> memory;
};
PreparedLayout prepare(PriceBook& book, const Layout& layout);

/// The prediction of one legal layout, simulated. A layout that does not fit is predicted all the
/// same, with fits = false.
Plan predict(PriceBook& book, const Layout& layout);

/// Plan from parts that a search already has.
Plan assemble_plan(PriceBook& book, const Layout& layout, const PreparedLayout& prepared,
                   const SimulatedStep& simulated);

}  // namespace meshplan::planner
