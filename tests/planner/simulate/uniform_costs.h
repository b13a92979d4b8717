#pragma once
#include "planner/schedule/build_schedule.h"
#include "planner/simulate/simulate.h"

namespace meshplan::planner {

/// Integer times of one whole stage and one micro-batch: sums and maxima of them are exact, so a
/// closed form must be met to the last bit.
struct StageTimes {
  int forward = 1, input_grad = 1, weight_grad = 1;
};

/// Prices where every chunk takes its equal part of `times`, and every hop `latency` + `transfer`.
/// `times` must be divisible by the chunks of a stage.
inline ScheduleCosts uniform_costs(const Schedule& schedule, StageTimes times, double latency = 0,
                                   double transfer = 0) {
  ScheduleCosts costs;
  ChunkCost chunk;
  const double parts = schedule.chunks_per_stage;
  chunk.forward.compute = profiles::Seconds{times.forward / parts};
  chunk.input_grad.compute = profiles::Seconds{times.input_grad / parts};
  chunk.weight_grad.compute = profiles::Seconds{times.weight_grad / parts};
  costs.chunks.assign(schedule.chunk_count(), chunk);
  costs.stages.resize(schedule.stages);
  const HopCost hop{profiles::Seconds{latency}, profiles::Seconds{transfer}};
  costs.hops_forward.assign(schedule.chunk_count(), hop);
  costs.hops_backward.assign(schedule.chunk_count(), hop);
  return costs;
}

}  // namespace meshplan::planner
