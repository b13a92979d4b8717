#pragma once
#include <vector>

#include "planner/simulate/costs.h"
#include "runtime/measure/alike.h"
#include "runtime/measure/measurement.h"

namespace meshplan::runtime {

/// Cuts a measured timeline (rank = global rank) into times of instructions, from step `warm_up`
/// on: spans of compute, and of the optimizer, without any communication. Ordered by (action,
/// chunk). Chunks and stages that are alike share their samples.
std::vector<InstructionTime> instruction_times(const planner::Timeline& timeline,
                                               const Training& training, int warm_up,
                                               const Alike& alike);
/// Each chunk and stage from its own samples.
std::vector<InstructionTime> instruction_times(const planner::Timeline& timeline,
                                               const Training& training, int warm_up);

/// `modelled` with its computation and optimizer replaced by measured medians; communication stays
/// as it is. Measured times hold launch and host time, so overhead becomes zero; a recomputation is
/// part of its backward.
planner::ScheduleCosts with_measured_computation(const std::vector<InstructionTime>& measured,
                                                 planner::ScheduleCosts modelled);

}  // namespace meshplan::runtime
