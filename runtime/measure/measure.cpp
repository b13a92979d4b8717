#include "runtime/measure/measure.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/cpu/kernels.h"
#include "planner/layout/layout_text.h"
#include "planner/simulate/simulate.h"
#include "planner/simulate/terms.h"
#include "profiles/input_error.h"
#include "runtime/execute/gather_results.h"
#include "runtime/execute/run_on_threads.h"
#include "runtime/measure/instruction_times.h"
#include "runtime/measure/receive_spans.h"

namespace meshplan::runtime {
namespace {

using profiles::Seconds;

std::string cpu_words() { return "cpu: " + std::string(kernels::cpu::gemm_library()); }

/// What does not depend on the mode. Takes the gradients out of `ranks`.
Measured described(const Training& training, const MeasureOptions& options, Mode mode,
                   std::string words, std::vector<RankResult>& ranks) {
  Measured out;
  Measurement& m = out.measurement;
  m.model = training.model.name;
  m.layout = planner::text(training.layout);
  m.device = std::move(words);
  m.mode = mode;
  m.ranks = training.layout.devices();
  m.warm_up = options.warm_up;
  m.losses = ranks.front().losses;
  m.remark = ranks.front().remark;
  m.collectives = ranks.front().collectives;
  for (RankResult& rank : ranks) {
    m.memory.push_back({rank.peak, rank.term_peaks});
    std::move(rank.gradients.begin(), rank.gradients.end(), std::back_inserter(out.gradients));
  }
  return out;
}

}  // namespace

void require_counted_steps(const Training& training, const MeasureOptions& options) {
  if (training.options.steps > options.warm_up) return;
  throw profiles::InputError("steps",
                             "more than the " + std::to_string(options.warm_up) + " of the warm-up",
                             std::to_string(training.options.steps));
}

Measured measured_at_once(const Training& training, const MeasureOptions& options, Mode mode,
                          std::string words, bool asynchronous, std::vector<RankResult> ranks) {
  Measured out = described(training, options, mode, std::move(words), ranks);
  out.timeline = timeline_of(ranks, training.options.steps);
  if (asynchronous) begin_with_sender(out.timeline, training);
  Measurement& m = out.measurement;
  m.instructions = instruction_times(out.timeline, training, options.warm_up);
  for (int step = options.warm_up; step < training.options.steps; ++step) {
    m.steps.push_back(planner::step_terms(out.timeline, step).step);
  }
  m.step = median(m.steps);
  const auto taken = std::find(m.steps.begin(), m.steps.end(), m.step) - m.steps.begin();
  const planner::StepTerms terms =
      planner::step_terms(out.timeline, options.warm_up + static_cast<int>(taken));
  m.terms = terms.terms;
  m.terms_rank = terms.rank;
  return out;
}

planner::Timeline timeline_of(const std::vector<RankResult>& ranks, int steps) {
  planner::Timeline timeline;
  timeline.ranks = static_cast<int>(ranks.size());
  timeline.steps = steps;
  Seconds zero = ranks.front().step_starts.front();
  for (const RankResult& rank : ranks) zero = std::min(zero, rank.step_starts.front());
  for (const RankResult& rank : ranks) {
    for (planner::Span span : rank.spans) {
      span.start -= zero;
      span.end -= zero;
      timeline.spans.push_back(span);
    }
  }
  for (int step = 0; step <= steps; ++step) {
    for (const RankResult& rank : ranks) {
      timeline.step_starts.push_back(rank.step_starts.at(step) - zero);
    }
  }
  return timeline;
}

Measured measure_parallel(const Training& training, const MeasureOptions& options) {
  require_counted_steps(training, options);
  return measured_at_once(
      training, options, Mode::Parallel, cpu_words(), /*asynchronous=*/false,
      run_on_threads(training, {.timeout = options.timeout, .take_turns = false, .in_words = {}}));
}

std::optional<Measured> measure_launched(const Training& training, const MeasureOptions& options,
                                         Communicator& host, Device& device,
                                         const std::string& words) {
  require_counted_steps(training, options);
  std::vector<RankResult> ranks = gather_results(run_rank(training, device), host);
  if (host.rank() != 0) return std::nullopt;
  return measured_at_once(training, options, Mode::Parallel, words, device.asynchronous(),
                          std::move(ranks));
}

void put_together(const Training& training, const planner::ScheduleCosts& modelled, Measured& out) {
  Measurement& m = out.measurement;
  const planner::ScheduleCosts costs = with_measured_computation(m.instructions, modelled);
  const planner::SimulatedStep step = planner::simulate_step(training.schedule, costs);
  m.steps = {step.step};
  m.step = step.step;
  m.terms = step.terms;
  m.terms_rank = step.rank;
  out.timeline = planner::simulate(training.schedule, costs);
}

}  // namespace meshplan::runtime
