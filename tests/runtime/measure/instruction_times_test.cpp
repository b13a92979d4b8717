#include "runtime/measure/instruction_times.h"

#include <gtest/gtest.h>

#include "tiny_training.h"

namespace meshplan::runtime {
namespace {

using planner::Action;
using planner::Stream;
using planner::Term;
using profiles::Seconds;

TEST(InstructionTimes, AddUpTheSpansOfAnInstructionWithoutCommunication) {
  // One rank, two micro-batches: F0 B0 F1 B1 and the optimizer.
  const Training training =
      tiny_training(tiny_model(Family::Gpt), "tp1,pp1,dp1,mbs1", /*global_batch=*/2);
  const auto& program = training.schedule.programs[0];
  ASSERT_EQ(program[0].action, Action::Forward);
  ASSERT_EQ(program[1].action, Action::Backward);
  ASSERT_EQ(program[2].action, Action::Forward);
  planner::Timeline timeline;
  timeline.ranks = 1;
  timeline.steps = 2;
  const auto span = [](int step, int instruction, Term term, double start, double end) {
    return planner::Span{0, instruction, step, Stream::Compute, term, Seconds{start}, Seconds{end}};
  };
  timeline.spans = {
      span(0, 0, Term::Compute, 0, 100),  // warm-up
      span(1, 0, Term::Compute, 100, 101), span(1, 0, Term::TensorParallel, 101, 109),
      span(1, 0, Term::Compute, 109, 111),  // F0: 1 + 2
      span(1, 1, Term::Compute, 111, 116),  // B0: 5
      span(1, 2, Term::Compute, 116, 120),  // F1: 4
  };
  const std::vector<InstructionTime> times = instruction_times(timeline, training, 1);
  ASSERT_EQ(times.size(), 2U);
  // Forwards took 3 and 4: the lower of the middle two stands for them.
  EXPECT_EQ(times[0], (InstructionTime{Action::Forward, 0, 2, Seconds{3}, Seconds{3}, Seconds{4}}));
  EXPECT_EQ(times[1],
            (InstructionTime{Action::Backward, 0, 1, Seconds{5}, Seconds{5}, Seconds{5}}));
}

TEST(WithMeasuredComputation, KeepsCommunicationAndNothingElse) {
  planner::ScheduleCosts modelled;
  modelled.chunks.resize(1);
  modelled.stages.resize(1);
  planner::ChunkCost& chunk = modelled.chunks[0];
  chunk.forward = {.compute = Seconds{7}, .tp = Seconds{1}, .overhead = Seconds{0.5}};
  chunk.input_grad = {.compute = Seconds{8}, .tp = Seconds{2}};
  chunk.weight_grad = {.compute = Seconds{9}, .tp = Seconds{0.25}};
  chunk.recompute = {.compute = Seconds{10}, .tp = Seconds{3}};
  chunk.gradient_reduce = {Seconds{4}};
  modelled.stages[0] = {.optimizer = Seconds{11}, .sync = Seconds{6}};

  const planner::ScheduleCosts costs =
      with_measured_computation({{Action::Forward, 0, 1, Seconds{20}, {}, {}},
                                 {Action::Backward, 0, 1, Seconds{40}, {}, {}},
                                 {Action::OptimizerSync, 0, 1, Seconds{0.5}, {}, {}},
                                 {Action::OptimizerStep, 0, 1, Seconds{2}, {}, {}}},
                                modelled);

  const planner::ChunkCost& got = costs.chunks[0];
  EXPECT_EQ(got.forward, (planner::Work{.compute = Seconds{20}, .tp = Seconds{1}}));
  // A whole backward costs input_grad + weight_grad; the measured one holds the recomputation.
  EXPECT_EQ((got.input_grad + got.weight_grad + got.recompute).compute, Seconds{40});
  EXPECT_EQ((got.input_grad + got.weight_grad + got.recompute).tp, Seconds{5.25});
  EXPECT_EQ(got.gradient_reduce, std::vector<Seconds>{Seconds{4}});
  EXPECT_EQ(costs.stages[0].optimizer, Seconds{2.5});
  EXPECT_EQ(costs.stages[0].sync, Seconds{6});
}

}  // namespace
}  // namespace meshplan::runtime
