#include "planner/simulate/waits.h"

#include "planner/simulate/terms.h"
#include "planner/simulate/timeline_graph.h"

namespace meshplan::planner {

using profiles::Seconds;

std::vector<RankWait> waits_of(const Schedule& schedule, const Timeline& timeline, int rank) {
  const TimelineGraph graph(schedule, timeline);
  std::vector<RankWait> waits;
  Seconds idle_since{0};
  for (const Span& span : spans_of(timeline, rank)) {
    if (span.stream != Stream::Compute) break;  // the streams after it
    const auto node = graph.find(rank, span.instruction, span.step);
    if (node && node->start == span.start && span.start > idle_since) {
      RankWait wait{rank, span.instruction, span.step, idle_since, span.start};
      if (const auto cause = graph.binding(*node).by; cause) {
        wait.on_rank = cause->rank;
        wait.on_instruction = cause->instruction;
        wait.on_step = cause->step;
      }
      waits.push_back(wait);
    }
    idle_since = span.end;
  }
  return waits;
}

}  // namespace meshplan::planner
