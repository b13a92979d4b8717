#pragma once
#include <vector>

#include "planner/predict.h"

namespace meshplan::planner {

/// Memory of every stage of a legal layout, without its schedule.
std::vector<StageMemory> memory_of(PriceBook& book, const Layout& layout);

/// Whether `layout` breaks no rule and fits.
bool runs(PriceBook& book, const Layout& layout);

/// The fastest of `candidates`, all of which run: simulated in the order of their lower bounds
/// until the next bound is no better, so exact. Ties go to the one that comes first. `candidates`
/// is not empty.
Plan fastest(PriceBook& book, const std::vector<Layout>& candidates);

}  // namespace meshplan::planner
