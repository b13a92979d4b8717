#include "runtime/measure/alike.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "planner/layout/legality.h"
#include "planner/layout/stage_split.h"
#include "planner/schedule/in_flight.h"

namespace meshplan::runtime {
namespace {

using Program = std::vector<planner::Instruction>;

/// By place: the first with the same key.
template <typename Key>
std::vector<int> first_alike(const std::vector<Key>& keys) {
  std::vector<int> out;
  for (const Key& key : keys) {
    out.push_back(static_cast<int>(std::find(keys.begin(), keys.end(), key) - keys.begin()));
  }
  return out;
}

Program of_first_microbatches(const Program& program, int microbatches) {
  Program out;
  std::copy_if(program.begin(), program.end(), std::back_inserter(out),
               [&](const planner::Instruction& i) { return i.microbatch < microbatches; });
  return out;
}

}  // namespace

Alike alike(const planner::Layout& layout, const planner::Transformer& model) {
  const std::vector<int> layers = planner::stage_split(layout, model);
  using Kind = std::tuple<int, bool, bool>;  // layers, first, last
  std::vector<Kind> chunks;
  std::vector<std::vector<Kind>> stages(static_cast<std::size_t>(layout.pp));
  for (int c = 0; c < layout.chunks(); ++c) {
    const auto stage = static_cast<std::size_t>(planner::owner_of_chunk(layout, c));
    chunks.emplace_back(layers[static_cast<std::size_t>(c)], c == 0, c + 1 == layout.chunks());
    stages[stage].push_back(chunks.back());
  }
  return {first_alike(chunks), first_alike(stages)};
}

Training with_fewest_microbatches(Training training) {
  const planner::Schedule& whole = training.schedule;
  for (int count = 1; count < whole.microbatches; ++count) {
    planner::Workload workload = training.workload;
    workload.global_batch = count * training.layout.mbs * training.layout.dp;
    if (!planner::violations(training.layout, training.model, workload, training.layout.devices())
             .empty()) {
      continue;
    }
    planner::Schedule schedule = whole;
    schedule.microbatches = count;
    for (Program& program : schedule.programs) program = of_first_microbatches(program, count);
    bool as_full = true;
    for (int stage = 0; stage < whole.stages; ++stage) {
      as_full = as_full && planner::counted_in_flight(schedule, stage) ==
                               planner::counted_in_flight(whole, stage);
    }
    if (!as_full) continue;
    training.workload = std::move(workload);
    training.schedule = std::move(schedule);
    break;
  }
  return training;
}

}  // namespace meshplan::runtime
