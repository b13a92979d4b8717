#pragma once
#include <string>

#include "planner/schedule/schedule.h"
#include "planner/simulate/timeline.h"

namespace meshplan::planner {

struct GanttOptions {
  int step = 0;
  bool colour = false;  ///< ANSI: forward blue, backward green, weight gradient yellow
  int max_cells = 240;  ///< a longer step is drawn coarser, and instructions may fall together
};

/// Step `options.step` as text, one row a rank, time to the right. A cell is as long as the
/// shortest instruction; a longer one is filled up with '-'. GPipe on two stages with two
/// micro-batches:
///
///   rank 0 | F0,0 F0,1           B0,1 B0,0
///   rank 1 |      F1,0 F1,1 B1,1 B1,0
///   one cell = 1 s
std::string gantt(const Schedule& schedule, const Timeline& timeline,
                  const GanttOptions& options = {});

}  // namespace meshplan::planner
