#include "planner/simulate/summary.h"

namespace meshplan::planner {

TimelineSummary summarize(const Schedule& schedule, const Timeline& timeline, int step,
                          const std::vector<profiles::Bytes>& resident) {
  TimelineSummary out;
  out.step = step_terms(timeline, step);
  for (int rank = 0; rank < timeline.ranks; ++rank) {
    RankSummary summary;
    const Window window = period_of(timeline, rank, step);
    summary.period = window.length();
    summary.terms = terms_of(timeline, rank, window);
    summary.bubble = {summary.terms.bubble, summary.terms.pp};
    const MemoryOverTime memory = memory_over_time(
        schedule, timeline, rank, resident.empty() ? profiles::Bytes{} : resident.at(rank));
    summary.peak = memory.peak;
    summary.peak_time = memory.peak_time;
    out.ranks.push_back(summary);
  }
  out.critical_path = critical_path(schedule, timeline, step).terms;
  return out;
}

}  // namespace meshplan::planner
