#include "runtime/execute/recorder.h"

#include <algorithm>
#include <tuple>

namespace meshplan::runtime {

std::vector<profiles::Seconds> Recorder::step_starts() const {
  device_.wait();
  std::vector<profiles::Seconds> starts;
  for (const Moment moment : step_starts_) starts.push_back(device_.at(moment));
  return starts;
}

std::vector<planner::Span> Recorder::spans() const {
  device_.wait();
  std::vector<planner::Span> spans;
  spans.reserve(marks_.size());
  for (const Mark& mark : marks_) {
    planner::Span span = mark.span;
    span.start = device_.at(mark.start);
    span.end = device_.at(mark.end);
    if (span.end > span.start) spans.push_back(span);
  }
  std::stable_sort(spans.begin(), spans.end(), [](const auto& a, const auto& b) {
    return std::tie(a.stream, a.start) < std::tie(b.stream, b.start);
  });
  return spans;
}

}  // namespace meshplan::runtime
