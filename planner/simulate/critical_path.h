#pragma once
#include <vector>

#include "planner/schedule/schedule.h"
#include "planner/simulate/timeline.h"

namespace meshplan::planner {

/// A stretch of the critical path: one instruction from where it could not start earlier to where
/// the next stretch could not, or a gap that no instruction explains (instruction = -1; never in a
/// predicted timeline but for the cost of the barrier).
struct CriticalSegment {
  int rank = 0;
  int instruction = -1;
  int step = 0;
  Stream stream = Stream::Compute;
  profiles::Seconds start{0}, end{0};
};

/// The chain of instructions that makes a step as long as it is: segments follow each other without
/// overlap from the beginning of the period to its end, each held up by the one before.
struct CriticalPath {
  std::vector<CriticalSegment> segments;
  Terms terms;  ///< what the chain consists of; gaps count as bubble
};

/// The critical path of step `step`, walked back from the end of the period of the slowest rank
/// (terms.h): from each instruction to that of its predecessors (list order, transfer, bucket,
/// barrier) that ended last, on ties the rank's own. Works on measured timelines too, as far as
/// their spans name the instructions of `schedule`.
CriticalPath critical_path(const Schedule& schedule, const Timeline& timeline, int step);

}  // namespace meshplan::planner
