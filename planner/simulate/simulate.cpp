#include "planner/simulate/simulate.h"

#include <fmt/format.h>

#include <algorithm>

#include "planner/schedule/deadlock.h"
#include "planner/simulate/contended.h"
#include "planner/simulate/terms.h"
#include "planner/simulate/uncontended.h"
#include "profiles/input_error.h"

namespace meshplan::planner {

using profiles::Seconds;

void throw_stuck(const Schedule& schedule, int rank, std::ptrdiff_t index) {
  if (const auto deadlock = find_deadlock(schedule))
    throw profiles::InputError("schedule", deadlock->message);
  const Instruction& in = schedule.programs[rank][index];
  throw profiles::InputError(
      fmt::format("schedule, rank {}, instruction {}", rank, index),
      fmt::format("{} of chunk {}, micro-batch {} waits for data that is never sent",
                  name(in.action), in.chunk, in.microbatch));
}

struct Simulator::Workspace {
  PricedSchedule priced;
  UncontendedWorkspace uncontended;
  ContendedWorkspace contended;
  SpanRecorder recorder;
  PassResult result;
  std::vector<Seconds> periods;
  bool contention = false;

  void load(const Schedule& schedule, const ScheduleCosts& costs) {
    price(schedule, costs, priced);
    contention = shares_links(priced);
  }

  void run(const Schedule& schedule, int steps) {
    if (contention)
      run_contended(schedule, priced, steps, contended, recorder, result);
    else
      run_uncontended(schedule, priced, steps, uncontended, recorder, result);
  }

  [[nodiscard]] Window last_period(int rank, int steps) const {
    const auto at = static_cast<std::size_t>(steps - 1) * priced.ranks + rank;
    return {result.step_starts[at], result.step_starts[at + priced.ranks]};
  }

  /// Whether every rank takes equally long for the last step; fills `periods`.
  bool steady(int steps) {
    periods.clear();
    for (int rank = 0; rank < priced.ranks; ++rank)
      periods.push_back(last_period(rank, steps).length());
    const auto [least, most] = std::minmax_element(periods.begin(), periods.end());
    return *most - *least <= 1e-9 * *most;
  }
};

Simulator::Simulator() : workspace_(std::make_unique<Workspace>()) {}
Simulator::~Simulator() = default;
Simulator::Simulator(Simulator&&) noexcept = default;
Simulator& Simulator::operator=(Simulator&&) noexcept = default;

SimulatedStep Simulator::step(const Schedule& schedule, const ScheduleCosts& costs) {
  Workspace& w = *workspace_;
  w.load(schedule, costs);
  int steps = w.priced.barrier ? 1 : 2;
  w.recorder.record_rank(0);
  w.run(schedule, steps);
  while (!w.steady(steps) && steps < 8) {
    steps *= 2;
    w.recorder.record_rank(0);
    w.run(schedule, steps);
  }
  const int rank = slowest_rank(w.periods);
  if (rank != 0) {
    w.recorder.record_rank(rank);
    w.run(schedule, steps);
  }
  SimulatedStep out;
  out.step = w.periods[rank];
  out.rank = rank;
  out.terms = terms_of(w.recorder.sorted(), w.last_period(rank, steps));
  out.busy = w.result.busy;
  out.steps = steps;
  const auto second = w.result.step_starts.begin() + w.priced.ranks;
  out.alone = *std::max_element(second, second + w.priced.ranks);
  return out;
}

Timeline Simulator::timeline(const Schedule& schedule, const ScheduleCosts& costs, int steps) {
  if (steps < 1)
    throw profiles::InputError("steps to simulate", "1 or more", fmt::to_string(steps));
  Workspace& w = *workspace_;
  w.load(schedule, costs);
  w.recorder.record_all(schedule, w.priced);
  w.run(schedule, steps);
  Timeline timeline;
  timeline.ranks = schedule.stages;
  timeline.steps = steps;
  timeline.spans = w.recorder.sorted();
  timeline.step_starts = w.result.step_starts;
  return timeline;
}

SimulatedStep simulate_step(const Schedule& schedule, const ScheduleCosts& costs) {
  return Simulator().step(schedule, costs);
}

Timeline simulate(const Schedule& schedule, const ScheduleCosts& costs, int steps) {
  return Simulator().timeline(schedule, costs, steps);
}

}  // namespace meshplan::planner
