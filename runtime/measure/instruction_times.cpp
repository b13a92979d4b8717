#include "runtime/measure/instruction_times.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

#include "runtime/execute/groups.h"

namespace meshplan::runtime {
namespace {

using planner::Action;
using profiles::Seconds;

}  // namespace

std::vector<InstructionTime> instruction_times(const planner::Timeline& timeline,
                                               const Training& training, int warm_up,
                                               const Alike& alike) {
  // A collective inside an instruction cuts it in several spans.
  std::map<std::tuple<int, int, int>, Seconds> by_instruction;  // rank, step, index
  for (const planner::Span& span : timeline.spans) {
    const bool computes =
        span.term == planner::Term::Compute || span.term == planner::Term::Optimizer;
    if (span.stream != planner::Stream::Compute || span.step < warm_up || !computes) continue;
    by_instruction[{span.rank, span.step, span.instruction}] += span.end - span.start;
  }
  std::map<std::pair<Action, int>, std::vector<Seconds>> samples;
  for (const auto& [where, time] : by_instruction) {
    const auto [rank, step, index] = where;
    const int stage = coordinates_of(training.layout, rank).pp;
    const planner::Instruction& i = training.schedule.programs.at(stage).at(index);
    switch (i.action) {
      case Action::Forward:
      case Action::Backward:
      case Action::InputGrad:
      case Action::WeightGrad:
        samples[{i.action, alike.chunk.at(i.chunk)}].push_back(time);
        break;
      case Action::OptimizerSync:
      case Action::OptimizerStep:
        samples[{i.action, alike.stage.at(stage)}].push_back(time);
        break;
      default:
        break;
    }
  }
  std::vector<InstructionTime> times;
  for (const auto& [what, all] : samples) {
    const auto [least, most] = std::minmax_element(all.begin(), all.end());
    InstructionTime time{what.first,  what.second, static_cast<int>(all.size()),
                         median(all), *least,      *most};
    const bool of_stage =
        time.action == Action::OptimizerSync || time.action == Action::OptimizerStep;
    const std::vector<int>& kinds = of_stage ? alike.stage : alike.chunk;
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      if (kinds[i] != what.second) continue;
      time.chunk = static_cast<int>(i);
      times.push_back(time);
    }
  }
  std::stable_sort(times.begin(), times.end(), [](const auto& a, const auto& b) {
    return std::tie(a.action, a.chunk) < std::tie(b.action, b.chunk);
  });
  return times;
}

std::vector<InstructionTime> instruction_times(const planner::Timeline& timeline,
                                               const Training& training, int warm_up) {
  Alike unlike;
  unlike.chunk.resize(static_cast<std::size_t>(training.schedule.chunk_count()));
  unlike.stage.resize(static_cast<std::size_t>(training.schedule.stages));
  std::iota(unlike.chunk.begin(), unlike.chunk.end(), 0);
  std::iota(unlike.stage.begin(), unlike.stage.end(), 0);
  return instruction_times(timeline, training, warm_up, unlike);
}

planner::ScheduleCosts with_measured_computation(const std::vector<InstructionTime>& measured,
                                                 planner::ScheduleCosts costs) {
  const auto computed = [](planner::Work& work, Seconds time) {
    work.compute = time;
    work.overhead = Seconds{0};
  };
  for (planner::ChunkCost& chunk : costs.chunks) {
    for (planner::Work* work :
         {&chunk.forward, &chunk.input_grad, &chunk.weight_grad, &chunk.recompute}) {
      computed(*work, Seconds{0});
    }
  }
  for (planner::StageCost& stage : costs.stages) stage.optimizer = Seconds{0};
  for (const InstructionTime& time : measured) {
    switch (time.action) {
      case Action::Forward:
        computed(costs.chunks.at(time.chunk).forward, time.median);
        break;
      case Action::Backward:  // costs input_grad + weight_grad
      case Action::InputGrad:
        computed(costs.chunks.at(time.chunk).input_grad, time.median);
        break;
      case Action::WeightGrad:
        computed(costs.chunks.at(time.chunk).weight_grad, time.median);
        break;
      case Action::OptimizerSync:
      case Action::OptimizerStep:
        costs.stages.at(time.chunk).optimizer += time.median;
        break;
      default:
        break;
    }
  }
  return costs;
}

}  // namespace meshplan::runtime
