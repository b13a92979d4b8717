#include "planner/simulate/critical_path.h"

#include <algorithm>

#include "planner/simulate/terms.h"
#include "planner/simulate/timeline_graph.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

void add_terms(const Timeline& timeline, const CriticalSegment& segment, Terms& terms) {
  const Seconds length = segment.end - segment.start;
  if (segment.instruction < 0) {
    terms.bubble += length;
  } else if (segment.stream == Stream::Compute) {
    const auto spans = spans_of(timeline, segment.rank);
    const auto begin = std::lower_bound(
        spans.begin(), spans.end(), segment.start,
        [](const Span& s, Seconds time) { return s.stream == Stream::Compute && s.end <= time; });
    auto end = begin;
    while (end != spans.end() && end->stream == Stream::Compute && end->start < segment.end) ++end;
    const Terms part = terms_of({begin, end}, {segment.start, segment.end});
    terms.compute += part.compute;
    terms.optimizer += part.optimizer;
    terms.tp += part.tp;
    terms.cp += part.cp;
    terms.ep += part.ep;
    terms.dp += part.dp;
    terms.pp += part.pp;
    terms.overhead += part.overhead;
    terms.bubble += part.bubble;
  } else if (segment.stream == Stream::DataParallel) {
    terms.dp += length;
  } else {
    terms.pp += length;
  }
}

}  // namespace

CriticalPath critical_path(const Schedule& schedule, const Timeline& timeline, int step) {
  const int rank = step_terms(timeline, step).rank;
  const Window window = period_of(timeline, rank, step);
  const TimelineGraph graph(schedule, timeline);

  CriticalPath path;
  const auto push = [&](const CriticalSegment& segment) {
    if (segment.start < segment.end) path.segments.push_back(segment);
  };
  auto node = graph.last_by(rank, window.end);
  Seconds at = window.end;
  // Each node is passed once at most; a measured clock could have it otherwise.
  for (std::size_t left = graph.size(); at > window.start; --left) {
    if (!node || node->end <= window.start || left == 0) {
      push({rank, -1, step, Stream::Compute, window.start, at});
      break;
    }
    if (node->end < at) {  // nothing that we know of held it up
      push({node->rank, -1, node->step, Stream::Compute, node->end, at});
      at = node->end;
    }
    const Binding held = graph.binding(*node);
    const Seconds from = std::max(std::min(held.since, at), window.start);
    push({node->rank, node->instruction, node->step, node->stream, from, at});
    at = from;
    node = held.by;
  }
  std::reverse(path.segments.begin(), path.segments.end());
  for (const CriticalSegment& segment : path.segments) add_terms(timeline, segment, path.terms);
  return path;
}

}  // namespace meshplan::planner
