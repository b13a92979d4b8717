#pragma once
#include <vector>

#include "planner/schedule/schedule.h"
#include "planner/simulate/timeline.h"

namespace meshplan::planner {

struct MemoryPoint {
  profiles::Seconds time{0};
  profiles::Bytes bytes;  ///< from this moment on
};

/// Memory of one rank as its compute stream takes and releases it.
struct MemoryOverTime {
  std::vector<MemoryPoint> points;  ///< one per change, in order
  profiles::Bytes peak;
  profiles::Seconds peak_time{0};  ///< when the peak is first reached
  int peak_instruction = -1;       ///< that takes it there; -1: nothing on top of `resident`
};

/// Activations in flight on `rank` over the whole timeline, on top of `resident` (weights,
/// gradients, optimizer, context), by the facts of the schedule's chunks: Forward takes
/// `activations`; Backward releases them; InputGrad releases all but `until_weight_grad`, which
/// WeightGrad releases; a backward holds `working` from its Recompute, or from its own start, to
/// its end. Without a backward (inference) Forward releases what it took when it ends.
MemoryOverTime memory_over_time(const Schedule& schedule, const Timeline& timeline, int rank,
                                profiles::Bytes resident = {});

}  // namespace meshplan::planner
