#include "runtime/execute/execute.h"

#include <array>
#include <utility>

#include "runtime/execute/interpreter.h"
#include "runtime/execute/layer_parts.h"
#include "runtime/execute/warm_up.h"

namespace meshplan::runtime {
namespace {

/// Each rank's share of the losses becomes the loss of the whole model, on every rank.
std::vector<double> summed_over_ranks(const std::vector<double>& losses, Device& device) {
  // A double as two floats, for a collective of floats.
  std::vector<float> parts;
  for (const double loss : losses) {
    const auto high = static_cast<float>(loss);
    parts.push_back(high);
    parts.push_back(static_cast<float>(loss - static_cast<double>(high)));
  }
  const Tensor sums(device, 1, static_cast<std::int64_t>(parts.size()), MemoryTerm::Workspace);
  device.upload(std::as_bytes(std::span(parts)), sums.data());
  device.world().all_reduce(sums.buffer(), Reduction::Sum);
  device.download(sums.data(), std::as_writable_bytes(std::span(parts)));
  std::vector<double> all;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    all.push_back(static_cast<double>(parts[2 * i]) + static_cast<double>(parts[2 * i + 1]));
  }
  return all;
}

RankResult run_in_groups(const Training& training, Device& device, Groups groups) {
  Communicator& world = device.world();
  CollectiveLog collectives(device);
  if (device.asynchronous()) {
    groups.tp = collectives.watched(std::move(groups.tp), planner::Axis::Tp);
    groups.dp = collectives.watched(std::move(groups.dp), planner::Axis::Dp);
  }
  Recorder recorder(device, world.rank());
  RankContext context(training, device, groups, recorder);
  ModelState state = make_model_state(training, groups.here, device);
  RotaryTables rotary = rotary_tables(context, context.seq_len());
  context.cosine = std::move(rotary.cosine);
  context.sine = std::move(rotary.sine);
  Interpreter interpreter(context, state);

  warm_up(context, communicating_pairs(training.schedule));

  collectives.restart();
  std::vector<double> losses;
  world.barrier();
  for (int step = 0; step < training.options.steps; ++step) {
    if (step == 0 || !training.schedule.global_sync) recorder.mark_step();
    losses.push_back(interpreter.run_step(step));
  }
  if (!training.schedule.global_sync) recorder.mark_step();
  RankResult result;
  result.losses = summed_over_ranks(losses, device);
  result.gradients = interpreter.take_gradients();
  result.spans = recorder.spans();
  result.step_starts = recorder.step_starts();
  result.collectives = collectives.times();
  result.remark = device.remark();
  result.peak = device.memory().peak();
  result.term_peaks = device.memory().term_peaks();
  return result;
}

}  // namespace

RankResult run_rank(const Training& training, Device& device) {
  refuse_unsupported(training);
  return run_in_groups(training, device,
                       make_groups(training.layout, training.model.kv_heads, device.world()));
}

RankResult run_lone_rank(const Training& training, Device& device) {
  refuse_unsupported(training);
  return run_in_groups(training, device,
                       make_lone_groups(training.layout, training.model.kv_heads, device));
}

DescribePlace instruction_in_words(const Training& training) {
  return [layout = training.layout, programs = training.schedule.programs](int rank, Place place) {
    std::string words = describe(place);
    const auto& program = programs.at(coordinates_of(layout, rank).pp);
    if (place.step < 0 || place.instruction < 0 ||
        place.instruction >= static_cast<int>(program.size())) {
      return words;
    }
    const planner::Instruction& i = program[place.instruction];
    words += " (" + std::string(planner::name(i.action));
    if (i.microbatch >= 0) {
      words +=
          ", chunk " + std::to_string(i.chunk) + ", micro-batch " + std::to_string(i.microbatch);
    }
    return words + ")";
  };
}

}  // namespace meshplan::runtime
