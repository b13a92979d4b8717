#include "runtime/measure/measure.h"

#include <algorithm>
#include <string>
#include <utility>

#include "kernels/cpu/kernels.h"
#include "planner/layout/layout_text.h"
#include "planner/simulate/terms.h"
#include "profiles/input_error.h"
#include "runtime/device/cpu_device.h"
#include "runtime/execute/gather_results.h"
#include "runtime/execute/run_on_threads.h"
#include "runtime/measure/instruction_times.h"

namespace meshplan::runtime {
namespace {

using profiles::Seconds;

/// What does not depend on time. Takes the gradients out of `ranks`.
Measured described(const Training& training, const MeasureOptions& options,
                   std::vector<RankResult>& ranks) {
  Measured out;
  Measurement& m = out.measurement;
  m.model = training.model.name;
  m.layout = planner::text(training.layout);
  m.device = "cpu: " + std::string(kernels::cpu::gemm_library());
  m.mode = Mode::Parallel;
  m.ranks = training.layout.devices();
  m.warm_up = options.warm_up;
  m.losses = ranks.front().losses;
  for (RankResult& rank : ranks) {
    m.memory.push_back({rank.peak, rank.term_peaks});
    std::move(rank.gradients.begin(), rank.gradients.end(), std::back_inserter(out.gradients));
  }
  return out;
}

void require_counted_steps(const Training& training, const MeasureOptions& options) {
  if (training.options.steps > options.warm_up) return;
  throw profiles::InputError("steps",
                             "more than the " + std::to_string(options.warm_up) + " of the warm-up",
                             std::to_string(training.options.steps));
}

Measured measured_at_once(const Training& training, const MeasureOptions& options,
                          std::vector<RankResult> ranks) {
  Measured out = described(training, options, ranks);
  out.timeline = timeline_of(ranks, training.options.steps);
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

}  // namespace

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
      training, options,
      run_on_threads(training, {.timeout = options.timeout, .take_turns = false, .in_words = {}}));
}

std::optional<Measured> measure_launched(const Training& training, const MeasureOptions& options,
                                         Communicator& world) {
  require_counted_steps(training, options);
  CpuDevice device(world);
  std::vector<RankResult> ranks = gather_results(run_rank(training, device), world);
  if (world.rank() != 0) return std::nullopt;
  Measured out = measured_at_once(training, options, std::move(ranks));
  out.measurement.device += ", ranks over MPI";
  return out;
}

}  // namespace meshplan::runtime
