#pragma once
#include <vector>

#include "planner/schedule/schedule.h"
#include "planner/simulate/critical_path.h"
#include "planner/simulate/memory_over_time.h"
#include "planner/simulate/terms.h"

namespace meshplan::planner {

/// One rank of a timeline in figures.
struct RankSummary {
  profiles::Seconds period{0};
  Terms terms;           ///< of this rank; they add up to `period`
  Bubble bubble;         ///< terms.bubble and terms.pp under the names of their causes
  profiles::Bytes peak;  ///< of memory, over the whole timeline
  profiles::Seconds peak_time{0};
};

/// A timeline in figures, as `--json` prints it.
struct TimelineSummary {
  StepTerms step;
  std::vector<RankSummary> ranks;
  Terms critical_path;  ///< what the chain of instructions that sets the step consists of
};

/// Of step `step`; `resident` as in memory_over_time, by rank or empty.
TimelineSummary summarize(const Schedule& schedule, const Timeline& timeline, int step,
                          const std::vector<profiles::Bytes>& resident = {});

}  // namespace meshplan::planner
