#include "runtime/measure/serving_measurement.h"

#include <fmt/ostream.h>

#include <algorithm>
#include <ostream>
#include <string_view>

#include "runtime/measure/measurement.h"

namespace meshplan::runtime {
namespace {

using planner::Span;
using planner::StepTime;
using planner::Term;
using profiles::Seconds;

Piece piece_of(const Span& span) { return static_cast<Piece>(span.instruction % kPieces); }

Seconds& part_of(StepTime& parts, const Span& span) {
  if (span.term == Term::TensorParallel || span.term == Term::PipelineTransfer) {
    return parts.communication;
  }
  switch (piece_of(span)) {
    case Piece::Matrices:
      return parts.matrices;
    case Piece::Attention:
      return parts.attention;
    case Piece::Host:
      break;
  }
  return parts.host;
}

/// The rank on whose clock steps are told.
const ServedRank& leader(const Serving& serving, const std::vector<ServedRank>& ranks) {
  const Coordinates there{.pp = serving.layout.pp - 1};
  return *std::find_if(ranks.begin(), ranks.end(),
                       [&](const ServedRank& rank) { return rank.here == there; });
}

}  // namespace

ServingMeasurement serving_measurement(const Serving& serving, const std::vector<ServedRank>& ranks,
                                       int warm_up) {
  const std::size_t steps = serving.schedule.steps.size();
  const auto rounds = static_cast<std::size_t>(serving.rounds);
  const auto counted = static_cast<std::size_t>(warm_up);
  std::vector<StepTime> parts(rounds * steps);
  ServingMeasurement out;
  out.ranks = static_cast<int>(ranks.size());
  out.warm_up = warm_up;
  std::vector<double> share;  ///< of one micro-batch in the mean
  for (const planner::ServingStep& step : serving.schedule.steps) {
    const std::size_t microbatch_count = microbatches(step.work, serving.layout.pp).size();
    share.push_back(1.0 / static_cast<double>(microbatch_count));
  }
  for (const ServedRank& rank : ranks) {
    out.memory.push_back({rank.weights, rank.cache, rank.peak});
    if (rank.here.dp != 0 || rank.here.tp != 0) continue;
    for (const Span& span : rank.spans) {
      const auto step = static_cast<std::size_t>(span.step);
      part_of(parts[step], span) += share[step % steps] * (span.end - span.start);
    }
  }
  const std::vector<Seconds>& marks = leader(serving, ranks).marks;
  for (std::size_t round = counted; round < rounds; ++round) {
    out.rounds.push_back(marks[round * (steps + 1) + steps] - marks[round * (steps + 1)]);
  }
  std::vector<Seconds> ends;
  for (std::size_t s = 0; s < steps; ++s) {
    std::vector<Seconds> took;
    for (std::size_t round = counted; round < rounds; ++round) {
      const std::size_t begin = round * (steps + 1) + s;
      took.push_back(marks[begin + 1] - marks[begin]);
    }
    const Seconds middle = median(took);
    const auto round = counted + static_cast<std::size_t>(
                                     std::find(took.begin(), took.end(), middle) - took.begin());
    StepTime step = parts[round * steps + s];
    (serving.layout.pp > 1 ? step.pipeline : step.host) += middle - step.sum();
    out.steps.push_back(step);
    ends.push_back(ends.empty() ? middle : ends.back() + middle);
  }
  out.service = planner::service_of(serving.schedule, ends);
  return out;
}

std::vector<std::vector<GeneratedToken>> answers_of(const Serving& serving,
                                                    const std::vector<ServedRank>& ranks) {
  std::vector<std::vector<GeneratedToken>> out;
  for (int replica = 0; replica < serving.layout.dp; ++replica) {
    const Coordinates there{.dp = replica, .pp = serving.layout.pp - 1};
    for (const ServedRank& rank : ranks) {
      if (rank.here == there) out.insert(out.end(), rank.answers.begin(), rank.answers.end());
    }
  }
  return out;
}

void write_serving_trace(std::ostream& out, const Serving& serving,
                         const std::vector<ServedRank>& ranks) {
  constexpr std::string_view kNames[] = {"products", "attention", "host"};
  const auto name = [&](const Span& span) -> std::string_view {
    if (span.term == Term::TensorParallel) return "collective";
    if (span.term == Term::PipelineTransfer) return "transfer";
    return kNames[static_cast<std::size_t>(piece_of(span))];
  };
  const Seconds zero = leader(serving, ranks).marks.front();
  const auto microseconds = [](Seconds time) { return 1e6 * time.count(); };
  out << "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [";
  std::string_view separator = "\n";
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    if (ranks[r].here.dp != 0) continue;
    fmt::print(
        out,
        R"({}{{"ph": "M", "name": "thread_name", "pid": 0, "tid": {}, "args": {{"name": "rank {}, stage {}"}}}})",
        separator, r, r, ranks[r].here.pp);
    separator = ",\n";
    for (const Span& span : ranks[r].spans) {
      fmt::print(
          out,
          R"({}{{"ph": "X", "name": "{}", "pid": 0, "tid": {}, "ts": {:.3f}, "dur": {:.3f}, "args": {{"step": {}, "microbatch": {}}}}})",
          separator, name(span), r, microseconds(span.start - zero),
          microseconds(span.end - span.start), span.step, span.instruction / kPieces);
    }
  }
  out << "\n]}\n";
}

}  // namespace meshplan::runtime
