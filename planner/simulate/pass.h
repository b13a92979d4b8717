#pragma once
#include <cstddef>
#include <vector>

#include "planner/simulate/priced_schedule.h"
#include "planner/simulate/span_recorder.h"

namespace meshplan::planner {

/// What a pass over a schedule yields besides the spans it records.
struct PassResult {
  std::vector<profiles::Seconds> step_starts;  ///< as Timeline::step_starts
  /// Compute stream of each rank in the last step: work, exposed collectives and optimizer.
  std::vector<profiles::Seconds> busy;
};

/// Refuses a schedule in which `rank` cannot run its instruction `index`, because the data never
/// comes: says who waits for whom (deadlock.h).
[[noreturn]] void throw_stuck(const Schedule& schedule, int rank, std::ptrdiff_t index);

}  // namespace meshplan::planner
