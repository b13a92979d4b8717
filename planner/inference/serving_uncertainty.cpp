#include "planner/inference/serving_uncertainty.h"

#include <algorithm>

#include "planner/term_spreads.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

/// Of the time that a request waits before its own step. Whether requests of equal lengths march in
/// step or not is a matter of milliseconds, and doubles or halves it.
constexpr double kWaiting = 0.6;

/// `a` and `share` times `b`.
StepTime sum_of(const StepTime& a, double share, const StepTime& b) {
  return {a.matrices + share * b.matrices, a.attention + share * b.attention,
          a.communication + share * b.communication, a.pipeline + share * b.pipeline,
          a.host + share * b.host};
}

/// The variance of `whole` that the terms of `step` bring.
double variance_of(const StepTime& step, Seconds whole, const Problem& problem) {
  double out = 0;
  const auto add = [&](Seconds term, double spread) {
    const double share = term / whole * spread;
    out += share * share;
  };
  add(step.matrices + step.attention + step.pipeline, compute_spread(problem));
  add(step.communication, term_spread::kCollective);
  add(step.host, term_spread::kHost);
  return out;
}

Range around(double value, double variance) {
  const double factor = std::exp(kEightyPercent * std::sqrt(variance));
  return {value / factor, value * factor};
}

}  // namespace

ServingIntervals serving_intervals(const Problem& problem, const profiles::Engine& engine,
                                   const InferencePrediction& prediction) {
  const double unknown = engine.known ? 0 : term_spread::kUnknownSoftware;
  const double software = engine.spread * engine.spread + unknown * unknown;
  const Service& service = prediction.service;
  // Each answer brings one prompt: over the steps of one answer, each decoding request one.
  const double prompts = std::max(1.0, service.decoding) / problem.workload.output;
  const StepTime steady = sum_of(prediction.decode_step, prompts, prediction.prompt_step);
  const double served = software + variance_of(steady, steady.sum(), problem);

  const Seconds own = std::min(prediction.prompt_step.sum(), service.ttft);
  const double waiting = (service.ttft - own) / service.ttft * kWaiting;
  const double first =
      software + variance_of(prediction.prompt_step, service.ttft, problem) + waiting * waiting;

  ServingIntervals out;
  out.ttft_seconds = around(service.ttft.count(), first);
  out.tpot_seconds = around(service.tpot.count(), served);
  out.tokens_per_second = around(prediction.tokens_per_second, served);
  return out;
}

}  // namespace meshplan::planner
