#pragma once
#include "planner/problem.h"

namespace meshplan::planner {

/// What no layout of this problem can beat: model FLOPs (causal attention, no recomputation) over
/// the peak of all devices, and the optimizer's states over their memory bandwidth.
profiles::Seconds unbeatable_step(const Problem& problem);

}  // namespace meshplan::planner
