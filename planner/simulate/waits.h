#pragma once
#include <vector>

#include "planner/schedule/schedule.h"
#include "planner/simulate/timeline.h"

namespace meshplan::planner {

/// A rank's compute stream stands still before one of its instructions, and what it waits for: a
/// transfer (an instruction of the sender), a bucket, or under a barrier the last of all ranks.
struct RankWait {
  int rank = 0, instruction = 0, step = 0;
  profiles::Seconds start{0}, end{0};
  int on_rank = -1, on_instruction = -1, on_step = 0;  ///< -1: nothing that the schedule knows of
};

/// All stretches of the timeline in which `rank` runs nothing between two instructions, in order.
std::vector<RankWait> waits_of(const Schedule& schedule, const Timeline& timeline, int rank);

}  // namespace meshplan::planner
