#pragma once
#include <cstdint>
#include <vector>

#include "planner/simulate/program_walk.h"

namespace meshplan::planner {

/// State of the pass below, kept between runs so that it allocates nothing once warm.
struct UncontendedWorkspace {
  struct Rank : ProgramWalk {
    profiles::Seconds forward_free{0}, backward_free{0}, collective_free{0};
    profiles::Seconds gathered{0};  ///< parameters are there (gathers that nothing overlaps)
    std::int64_t waiting_for = -1;  ///< slot of the arrival that it lacks
  };
  struct Gather {
    profiles::Seconds first{0}, last{0};
    int buckets = 0;  ///< issued and not yet used; 0: nothing to wait for
  };
  std::vector<Rank> ranks;
  std::vector<Gather> gathers;              ///< by chunk
  std::vector<profiles::Seconds> arrivals;  ///< by slot, one lane a step; negative: not sent yet
  std::vector<int> runnable;
  int at_barrier = 0;
  profiles::Seconds barrier{0};
};

/// Runs `steps` steps where no link is shared: one topological pass over the instructions, since
/// then every start is a maximum of known ends. Time and memory are linear in the schedule.
void run_uncontended(const Schedule& schedule, const PricedSchedule& priced, int steps,
                     UncontendedWorkspace& workspace, SpanRecorder& recorder, PassResult& result);

}  // namespace meshplan::planner
