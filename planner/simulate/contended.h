#pragma once
#include <cstdint>
#include <vector>

#include "planner/simulate/contention.h"
#include "planner/simulate/program_walk.h"

namespace meshplan::planner {

/// State of the pass below, kept between runs.
struct ContendedWorkspace {
  /// A transfer or collective waiting for its stream, or under way on it.
  struct Operation {
    profiles::Seconds ready{0}, work{0}, latency{0}, early{0}, started{0};
    FlowLinks links{-1, -1};
    std::int32_t instruction = 0;
    std::int32_t step = 0;
    std::int32_t chunk = 0;  ///< that receives, or whose bucket it is
    std::int64_t slot = -1;  ///< of the receiver; -1: a collective
    bool gather = false;
  };
  /// Operations of one stream in order; the one at `head` is under way when `busy`.
  struct OperationStream {
    std::vector<Operation> queue;
    std::size_t head = 0;
    bool busy = false;
  };
  enum class Wait : std::uint8_t { Nothing, Arrival, Collectives, Gathers };
  struct Rank : ProgramWalk {
    std::int64_t slot = -1;
    int collectives = 0, gathers = 0;  ///< issued and not done
    Wait wait = Wait::Nothing;
    bool done = false;
    profiles::Seconds gathered{0};
  };
  struct Gather {
    profiles::Seconds first{0}, last{0};
    int buckets = 0, missing = 0;
  };
  struct Event {
    profiles::Seconds time;
    int kind;
    int id;
  };
  std::vector<Rank> ranks;
  std::vector<OperationStream> streams;  ///< 3 a rank: forward, backward, collectives
  std::vector<Gather> gathers;
  std::vector<profiles::Seconds> arrivals;
  std::vector<Event> events;
  SharedLinks links;
  int at_barrier = 0;
};

/// As run_uncontended, where transfers and collectives share links: events in order of (time, kind,
/// number), shares anew whenever a flow comes or goes. Gives the same bytes as run_uncontended
/// where no two flows meet.
void run_contended(const Schedule& schedule, const PricedSchedule& priced, int steps,
                   ContendedWorkspace& workspace, SpanRecorder& recorder, PassResult& result);

}  // namespace meshplan::planner
