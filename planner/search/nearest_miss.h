#pragma once
#include <string>

#include "planner/search/search.h"

namespace meshplan::planner {

/// What would make a problem fit that has no fitting layout, cheapest first:
///   giving up the keys of `--fix`, if some layout without them fits;
///   else the smallest doubling of the nodes (up to 1024 times) with which some layout fits.
/// A phrase for a person; empty if neither helps.
std::string cheapest_mend(const Problem& problem, const SearchOptions& options);

}  // namespace meshplan::planner
