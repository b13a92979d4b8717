#pragma once
#include <string>

#include "planner/schedule/schedule.h"

namespace meshplan::planner {

/// Short label of an instruction in charts: "F0,3" is the forward of micro-batch 3 on chunk 0, B a
/// whole backward or the input gradient, W the weight gradient, R a recomputation, O the optimizer,
/// S the barrier before it, P and G a bucket of gathered parameters and reduced gradients.
std::string instruction_label(const Instruction& instruction);

}  // namespace meshplan::planner
