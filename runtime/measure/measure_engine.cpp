#include "runtime/measure/measure_engine.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "planner/layout/layout_text.h"
#include "planner/simulate/simulate.h"
#include "planner/simulate/terms.h"
#include "profiles/input_error.h"
#include "runtime/execute/run_on_engine.h"
#include "runtime/measure/instruction_times.h"
#include "runtime/measure/receive_spans.h"

namespace meshplan::runtime {
namespace {

Measured described(const Engine& engine, const Training& training, const MeasureOptions& options,
                   Mode mode, std::vector<RankResult>& ranks) {
  if (training.options.steps <= options.warm_up) {
    throw profiles::InputError("steps", "more than those of the warm-up",
                               std::to_string(training.options.steps));
  }
  Measured out;
  Measurement& m = out.measurement;
  m.model = training.model.name;
  m.layout = planner::text(training.layout);
  m.device = engine.devices().front().name + ", " + engine.description();
  m.mode = mode;
  m.ranks = training.layout.devices();
  m.warm_up = options.warm_up;
  m.losses = ranks.front().losses;
  for (RankResult& rank : ranks) {
    m.memory.push_back({rank.peak, rank.term_peaks});
    std::move(rank.gradients.begin(), rank.gradients.end(), std::back_inserter(out.gradients));
  }
  return out;
}

}  // namespace

Measured measure_on_engine(Engine& engine, const Training& training, Mode mode,
                           const MeasureOptions& options) {
  const Seating seating = mode == Mode::Partitioned ? Seating::Partitioned : Seating::OneEach;
  std::vector<RankResult> ranks = run_on_engine(engine, training, seating, options.timeout);
  Measured out = described(engine, training, options, mode, ranks);
  out.timeline = timeline_of(ranks, training.options.steps);
  begin_with_sender(out.timeline, training);
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

Measured measure_replay_on_engine(Engine& engine, const Training& training,
                                  const planner::ScheduleCosts& modelled,
                                  const MeasureOptions& options) {
  std::vector<RankResult> ranks = run_on_engine(engine, training, Seating::Replay, options.timeout);
  Measured out = described(engine, training, options, Mode::Replay, ranks);
  Measurement& m = out.measurement;
  m.instructions =
      instruction_times(timeline_of(ranks, training.options.steps), training, options.warm_up);
  const planner::ScheduleCosts costs = with_measured_computation(m.instructions, modelled);
  const planner::SimulatedStep step = planner::simulate_step(training.schedule, costs);
  m.steps = {step.step};
  m.step = step.step;
  m.terms = step.terms;
  m.terms_rank = step.rank;
  out.timeline = planner::simulate(training.schedule, costs);
  return out;
}

}  // namespace meshplan::runtime
