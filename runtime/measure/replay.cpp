#include "runtime/measure/replay.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

#include "kernels/cpu/kernels.h"
#include "planner/layout/layout_text.h"
#include "planner/layout/rank_place.h"
#include "runtime/communicator/in_process.h"
#include "runtime/communicator/lone.h"
#include "runtime/device/cpu_device.h"
#include "runtime/execute/execute.h"
#include "runtime/execute/run_on_threads.h"
#include "runtime/measure/alike.h"
#include "runtime/measure/instruction_times.h"

namespace meshplan::runtime {
namespace {

/// A rank to be executed alone.
struct Part {
  int stage = 0;
  int rank = 0;
  int steps = 1;
};

/// Rank number `copy` of the stage, from the last share of the first replica on.
int rank_of_stage(const planner::Layout& layout, int stage, int copy) {
  const int tp = layout.tp - 1 - copy % layout.tp;
  return planner::rank_of(layout, {.tp = tp, .dp = copy / layout.tp, .pp = stage});
}

/// What is executed: rounds of `at_once` parts, which run side by side.
std::vector<Part> parts_of(const Training& training, const Alike& kinds, int at_once, int warm_up) {
  const planner::Layout& layout = training.layout;
  std::vector<Part> parts;
  for (int stage = 0; stage < layout.pp; ++stage) {
    const bool new_kind = kinds.stage[static_cast<std::size_t>(stage)] == stage;
    parts.push_back(
        {stage, rank_of_stage(layout, stage, 0), new_kind ? training.options.steps : warm_up});
  }
  // Those of many steps first, so that they have company.
  std::stable_sort(parts.begin(), parts.end(),
                   [](const Part& a, const Part& b) { return a.steps > b.steps; });
  const int ranks_of_stage = layout.devices() / layout.pp;
  for (int copy = 1; static_cast<int>(parts.size()) % at_once != 0; ++copy) {
    Part more = parts[static_cast<std::size_t>((copy - 1) % layout.pp)];
    more.rank = rank_of_stage(layout, more.stage, 1 + (copy - 1) / layout.pp % ranks_of_stage);
    parts.push_back(more);
  }
  return parts;
}

std::vector<RankResult> executed(const Training& training, const std::vector<Part>& parts,
                                 int at_once, profiles::Seconds timeout, const RunAlone& run) {
  // A rank that stalls outlives this call: what it uses must too.
  struct Shared {
    Training training;
    std::vector<Part> parts;
    std::vector<RankResult> results;
    std::vector<std::atomic<int>> rank_of_seat;
    RunAlone run;
  };
  const auto shared = std::make_shared<Shared>(
      Shared{training, parts, std::vector<RankResult>(parts.size()),
             std::vector<std::atomic<int>>(static_cast<std::size_t>(at_once)), run});
  InProcessOptions options;
  options.timeout = timeout;
  options.in_words = [shared, words = instruction_in_words(training)](int seat, Place place) {
    const int rank = shared->rank_of_seat[static_cast<std::size_t>(seat)];
    return words(rank, place) + " of rank " + std::to_string(rank);
  };
  run_in_process(at_once, options, [shared, at_once](Communicator& seats) {
    const auto seat = static_cast<std::size_t>(seats.rank());
    for (std::size_t i = seat; i < shared->parts.size(); i += static_cast<std::size_t>(at_once)) {
      const Part& part = shared->parts[i];
      shared->rank_of_seat[seat] = part.rank;
      Training own = shared->training;
      own.options.steps = part.steps;
      own.options.captured_step.reset();
      Lone world(part.rank, own.layout.devices(), seats);
      seats.barrier();
      shared->results[i] = shared->run(own, world);
    }
  });
  return std::move(shared->results);
}

}  // namespace

Measured measure_alone(const Training& training, const planner::ScheduleCosts& modelled,
                       const MeasureOptions& options, std::string words, const RunAlone& run) {
  require_counted_steps(training, options);
  refuse_unsupported(training);
  const planner::Layout& layout = training.layout;
  const Training fewest = with_fewest_microbatches(training);
  const Alike kinds = alike(layout, training.model);
  const int at_once = std::clamp(options.at_once, 1, layout.devices());
  const std::vector<Part> parts = parts_of(fewest, kinds, at_once, options.warm_up);
  const std::vector<RankResult> results = executed(fewest, parts, at_once, options.timeout, run);

  Measured out;
  Measurement& m = out.measurement;
  m.model = training.model.name;
  m.layout = planner::text(layout);
  m.device = std::move(words);
  m.remark = results.front().remark;
  m.mode = Mode::Replay;
  m.ranks = layout.devices();
  m.warm_up = options.warm_up;
  m.executed = Executed{{}, fewest.schedule.microbatches, training.schedule.microbatches};
  m.memory.resize(static_cast<std::size_t>(m.ranks));
  planner::Timeline spans;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    m.executed->ranks.push_back(parts[i].rank);
    spans.spans.insert(spans.spans.end(), results[i].spans.begin(), results[i].spans.end());
    // All ranks of a stage hold the same.
    for (int rank = 0; rank < m.ranks; ++rank) {
      if (planner::place_of(layout, rank).pp != parts[i].stage) continue;
      m.memory[static_cast<std::size_t>(rank)] = {results[i].peak, results[i].term_peaks};
    }
  }
  m.instructions = instruction_times(spans, fewest, options.warm_up, kinds);
  put_together(training, modelled, out);
  return out;
}

Measured measure_replay(const Training& training, const planner::ScheduleCosts& modelled,
                        const MeasureOptions& options) {
  return measure_alone(training, modelled, options,
                       "cpu: " + std::string(kernels::cpu::gemm_library()),
                       [](const Training& own, Lone& world) {
                         CpuDevice device(world);
                         return run_lone_rank(own, device);
                       });
}

std::vector<double> replayed_losses(const Training& training, profiles::Seconds timeout) {
  return run_on_threads(training, {.timeout = timeout, .take_turns = true, .in_words = {}})
      .front()
      .losses;
}

}  // namespace meshplan::runtime
