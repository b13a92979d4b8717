#pragma once
#include <iosfwd>
#include <vector>

#include "planner/schedule/schedule.h"
#include "planner/simulate/timeline.h"

namespace meshplan::planner {

/// What a trace shows besides the timeline itself.
struct TraceOptions {
  std::vector<int> node_of_rank;          ///< empty: all on node 0
  std::vector<profiles::Bytes> resident;  ///< memory of each rank apart from activations; empty: 0
};

/// Writes `timeline` as Chrome trace events (JSON object form; opens in Perfetto and
/// chrome://tracing): a process a node, a thread a rank and stream, an arrow from each send to its
/// receive, a counter of memory a rank. Times in microseconds. Where transfers of one stream
/// overlap (the latency of one lies beside the next) a slice is drawn up to the next one, as the
/// format asks; `args.end_seconds` has the true end. Source: "Trace Event Format", Google, sections
/// on complete, flow, counter and metadata events.
void write_trace(std::ostream& out, const Schedule& schedule, const Timeline& timeline,
                 const TraceOptions& options = {});

}  // namespace meshplan::planner
