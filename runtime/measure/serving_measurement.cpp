#include "runtime/measure/serving_measurement.h"

#include <fmt/ostream.h>

#include <algorithm>
#include <ostream>
#include <string_view>

#include "planner/inference/step_time.h"
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

/// What one rank does of a micro-batch, by step of all rounds: the mean over the micro-batches.
std::vector<StepTime> parts_of(const Serving& serving, const ServedRank& rank) {
  const std::size_t steps = serving.schedule.steps.size();
  std::vector<double> share;  ///< of one micro-batch in the mean
  for (const planner::ServingStep& step : serving.schedule.steps) {
    const std::size_t count = microbatches(step.work, serving.layout.pp).size();
    share.push_back(1.0 / static_cast<double>(count));
  }
  std::vector<StepTime> out(static_cast<std::size_t>(serving.rounds) * steps);
  for (const Span& span : rank.spans) {
    const auto step = static_cast<std::size_t>(span.step);
    part_of(out[step], span) += share[step % steps] * (span.end - span.start);
  }
  return out;
}

/// The first tensor-parallel rank of each stage of the first replica.
std::vector<const ServedRank*> first_of_stages(const Serving& serving,
                                               const std::vector<ServedRank>& ranks) {
  std::vector<const ServedRank*> out(static_cast<std::size_t>(serving.layout.pp));
  for (const ServedRank& rank : ranks) {
    if (rank.here.dp == 0 && rank.here.tp == 0) out[static_cast<std::size_t>(rank.here.pp)] = &rank;
  }
  return out;
}

ServingMeasurement without_times(const std::vector<ServedRank>& ranks, int warm_up, Mode mode) {
  ServingMeasurement out;
  out.mode = mode;
  out.ranks = static_cast<int>(ranks.size());
  out.warm_up = warm_up;
  for (const ServedRank& rank : ranks) {
    out.memory.push_back({rank.weights, rank.cache, rank.peak});
  }
  return out;
}

void add_service(const Serving& serving, ServingMeasurement& out) {
  std::vector<Seconds> ends;
  for (const StepTime& step : out.steps) {
    ends.push_back(step.sum() + (ends.empty() ? Seconds{0} : ends.back()));
  }
  out.service = planner::service_of(serving.schedule, ends);
}

}  // namespace

ServingMeasurement serving_measurement(const Serving& serving, const std::vector<ServedRank>& ranks,
                                       int warm_up) {
  const std::size_t steps = serving.schedule.steps.size();
  const auto rounds = static_cast<std::size_t>(serving.rounds);
  const auto counted = static_cast<std::size_t>(warm_up);
  ServingMeasurement out = without_times(ranks, warm_up, Mode::Parallel);
  std::vector<StepTime> parts(rounds * steps);
  for (const ServedRank* rank : first_of_stages(serving, ranks)) {
    const std::vector<StepTime> mine = parts_of(serving, *rank);
    for (std::size_t s = 0; s < parts.size(); ++s) {
      parts[s].matrices += mine[s].matrices;
      parts[s].attention += mine[s].attention;
      parts[s].communication += mine[s].communication;
      parts[s].host += mine[s].host;
    }
  }
  const std::vector<Seconds>& marks = leader(serving, ranks).marks;
  for (std::size_t round = counted; round < rounds; ++round) {
    out.rounds.push_back(marks[round * (steps + 1) + steps] - marks[round * (steps + 1)]);
  }
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
  }
  add_service(serving, out);
  return out;
}

ServingMeasurement replayed_serving(const Serving& serving, const std::vector<ServedRank>& ranks,
                                    int warm_up, const std::vector<StepTime>& prices,
                                    bool idle_at_first) {
  const std::size_t steps = serving.schedule.steps.size();
  ServingMeasurement out = without_times(ranks, warm_up, Mode::Replay);
  std::vector<std::vector<StepTime>> stages;
  for (const ServedRank* rank : first_of_stages(serving, ranks)) {
    stages.push_back(parts_of(serving, *rank));
  }
  const int pp = serving.layout.pp;
  for (std::size_t s = 0; s < steps; ++s) {
    StepTime step;
    step.communication = prices[s].communication;
    Seconds slowest{0};
    for (const std::vector<StepTime>& stage : stages) {
      // Each part by its median over the rounds.
      const auto middle = [&](Seconds StepTime::*part) {
        std::vector<Seconds> all;
        for (int round = warm_up; round < serving.rounds; ++round) {
          all.push_back(stage[static_cast<std::size_t>(round) * steps + s].*part);
        }
        return median(all);
      };
      const Seconds matrices = middle(&StepTime::matrices);
      const Seconds attention = middle(&StepTime::attention);
      step.matrices += matrices;
      step.attention += attention;
      step.host += middle(&StepTime::host);
      slowest = std::max(slowest, matrices + attention + step.communication / pp);
    }
    const Seconds through = step.matrices + step.attention + step.communication;
    const std::size_t count = microbatches(serving.schedule.steps[s].work, pp).size();
    const planner::PipelineRound round =
        planner::pipeline_round(through, slowest, pp, static_cast<double>(count));
    step.pipeline = round.period - through;
    if (s == 0 && idle_at_first) step.pipeline += round.fill;
    out.steps.push_back(step);
  }
  add_service(serving, out);
  out.rounds = {out.service.duration};
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
