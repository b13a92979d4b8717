#pragma once
#include <vector>

#include "planner/schedule/schedule.h"
#include "runtime/execute/model_context.h"

namespace meshplan::runtime {

/// Two stages that send to each other in one direction of the pipeline.
struct CommunicatingPair {
  bool forward = true;
  int from = 0, to = 0;
  friend auto operator<=>(const CommunicatingPair&, const CommunicatingPair&) = default;
};

/// Every pair of stages that the schedule sends between, once, in ascending order: the same list
/// for every rank, so that going through it in order cannot deadlock.
std::vector<CommunicatingPair> communicating_pairs(const planner::Schedule& schedule);

/// Makes the first call of every group and of `pairs`, those that the run will use: libraries
/// connect ranks at their first call, which takes tens of milliseconds and must not meet the order
/// of a pipeline. Collective; nothing to do where calls are done on return.
void warm_up(ModelContext& context, const std::vector<CommunicatingPair>& pairs);

}  // namespace meshplan::runtime
