#include "planner/simulate/terms.h"

#include <algorithm>
#include <array>

#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

constexpr int kBusyTerms = static_cast<int>(Term::Bubble);  // every term before it is a span's

Seconds& field(Terms& terms, Term term) {
  switch (term) {
    case Term::Compute:
      return terms.compute;
    case Term::Optimizer:
      return terms.optimizer;
    case Term::TensorParallel:
      return terms.tp;
    case Term::ContextParallel:
      return terms.cp;
    case Term::ExpertParallel:
      return terms.ep;
    case Term::DataParallel:
      return terms.dp;
    case Term::PipelineTransfer:
      return terms.pp;
    case Term::Overhead:
      return terms.overhead;
    case Term::Bubble:
      break;
  }
  return terms.bubble;
}

/// When one term is under way: disjoint intervals in order, and the next of them.
struct Activity {
  std::vector<Window> intervals;
  std::size_t next = 0;

  void close() {
    const auto before = [](const Window& a, const Window& b) { return a.start < b.start; };
    if (!std::is_sorted(intervals.begin(), intervals.end(), before))
      std::sort(intervals.begin(), intervals.end(), before);
    std::size_t kept = 0;
    for (const Window& interval : intervals) {
      if (kept > 0 && interval.start <= intervals[kept - 1].end)
        intervals[kept - 1].end = std::max(intervals[kept - 1].end, interval.end);
      else
        intervals[kept++] = interval;
    }
    intervals.resize(kept);
  }
};

}  // namespace

std::span<const Span> spans_of(const Timeline& timeline, int rank) {
  const auto before = [](const Span& s, int r) { return s.rank < r; };
  const auto begin = std::lower_bound(timeline.spans.begin(), timeline.spans.end(), rank, before);
  return {begin, std::lower_bound(begin, timeline.spans.end(), rank + 1, before)};
}

Window period_of(const Timeline& timeline, int rank, int step) {
  if (!timeline.step_starts.empty()) {
    const auto at = static_cast<std::size_t>(step) * timeline.ranks + rank;
    return {timeline.step_starts.at(at), timeline.step_starts.at(at + timeline.ranks)};
  }
  Window window;
  bool started = false, ended = false;
  for (const Span& span : spans_of(timeline, rank)) {
    if (span.stream == Stream::Compute && span.step == step && !started) {
      window.start = span.start;
      started = true;
    }
    if (span.stream == Stream::Compute && span.step == step + 1 && !ended) {
      window.end = span.start;
      ended = true;
    }
    if (!ended) window.end = std::max(window.end, span.end);
    if (ended) break;
  }
  return started ? window : Window{};
}

Terms terms_of(std::span<const Span> spans, Window window) {
  std::array<Activity, kBusyTerms> activities;
  for (const Span& span : spans) {
    const Window clipped{std::max(span.start, window.start), std::min(span.end, window.end)};
    if (clipped.start < clipped.end && span.term != Term::Bubble)
      activities[static_cast<int>(span.term)].intervals.push_back(clipped);
  }
  for (Activity& activity : activities) activity.close();

  Terms terms;
  Seconds at = window.start;
  while (at < window.end) {
    // The first term under way at `at`, and how long nothing before it in order begins.
    Term term = Term::Bubble;
    Seconds until = window.end;
    for (int i = 0; i < kBusyTerms; ++i) {
      Activity& activity = activities[i];
      while (activity.next < activity.intervals.size() &&
             activity.intervals[activity.next].end <= at)
        ++activity.next;
      if (activity.next == activity.intervals.size()) continue;
      const Window& interval = activity.intervals[activity.next];
      if (interval.start <= at) {
        term = static_cast<Term>(i);
        until = std::min(until, interval.end);
        break;
      }
      until = std::min(until, interval.start);
    }
    field(terms, term) += until - at;
    at = until;
  }
  return terms;
}

Terms terms_of(const Timeline& timeline, int rank, Window window) {
  return terms_of(spans_of(timeline, rank), window);
}

int slowest_rank(std::span<const Seconds> periods) {
  const Seconds longest = *std::max_element(periods.begin(), periods.end());
  int rank = 0;
  while (periods[rank] < longest * (1 - 1e-9)) ++rank;
  return rank;
}

StepTerms step_terms(const Timeline& timeline, int step) {
  if (timeline.ranks < 1 || step < 0 || step >= timeline.steps)
    throw profiles::InputError("timeline", "a step that was recorded", std::to_string(step));
  std::vector<Seconds> periods;
  for (int rank = 0; rank < timeline.ranks; ++rank)
    periods.push_back(period_of(timeline, rank, step).length());
  const int rank = slowest_rank(periods);
  return {periods[rank], rank, terms_of(timeline, rank, period_of(timeline, rank, step))};
}

StepTerms step_terms(const Timeline& timeline) { return step_terms(timeline, timeline.steps - 1); }

std::vector<Bubble> bubbles_of(const Timeline& timeline, int step) {
  std::vector<Bubble> bubbles;
  for (int rank = 0; rank < timeline.ranks; ++rank) {
    const Terms terms = terms_of(timeline, rank, period_of(timeline, rank, step));
    bubbles.push_back({terms.bubble, terms.pp});
  }
  return bubbles;
}

}  // namespace meshplan::planner
