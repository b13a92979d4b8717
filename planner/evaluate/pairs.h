#pragma once
#include <optional>
#include <vector>

#include "planner/evaluate/evaluate_runs.h"

namespace meshplan::planner {

/// How often the layout predicted faster of two ran faster: pairs of different layouts of one
/// group under one software whose predicted steps, and whose measured ones, differ. By how far the
/// predictions lie apart, slower / faster - 1: up to 2, 5, 10, 25% and more; five entries.
std::vector<PairsApart> pairs_by_gap(const std::vector<EvaluatedRun>& runs);

}  // namespace meshplan::planner
