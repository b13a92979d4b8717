// Time of the simulator over schedules that grow. Figures to hold on one core: 64 stages x 512
// micro-batches in 5 ms where no link is shared, in 50 ms where links are; nanoseconds per
// instruction flat as the schedule grows; bytes in proportion to the schedule.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include "planner/schedule/build_schedule.h"
#include "planner/simulate/simulate.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

struct Case {
  Schedule schedule;
  ScheduleCosts costs;
  double instructions = 0;
};

/// 1F1B with slightly uneven stages and transfers of a third of a forward. `stages_a_link` stages
/// share the NIC of their node for both directions and for gradients; 0: no link is shared.
Case one_f_one_b(int stages, int microbatches, int stages_a_link) {
  Case out;
  ScheduleOptions options;
  options.overlap_gradient_reduce = true;
  out.schedule = build_schedule(ScheduleKind::OneFOneB, stages, 1, microbatches, options);
  out.costs.overlap_gradient_reduce = true;
  for (int s = 0; s < stages; ++s) {
    ChunkCost chunk;
    chunk.forward = {.compute = Seconds{1e-3 + 1e-6 * (s % 7)}, .tp = Seconds{2e-4}};
    chunk.input_grad = chunk.weight_grad = chunk.forward;
    chunk.gradient_reduce = {Seconds{5e-3}};
    out.costs.chunks.push_back(chunk);
    const int link = stages_a_link > 0 ? s / stages_a_link : -1;
    out.costs.hops_forward.push_back({Seconds{1e-5}, Seconds{4e-4}, link});
    out.costs.hops_backward.push_back({Seconds{1e-5}, Seconds{4e-4}, link});
    out.costs.stages.push_back({Seconds{1e-3}, Seconds{1e-4}, link});
  }
  if (stages_a_link > 0) out.costs.links.resize(stages);
  for (const auto& program : out.schedule.programs)
    out.instructions += static_cast<double>(program.size());
  return out;
}

/// Check, then time: no step is shorter than the work of its slowest rank.
void report(benchmark::State& state, const Case& run, const SimulatedStep& step) {
  for (const Seconds busy : step.busy)
    if (busy > step.step) state.SkipWithError("a rank is busier than the step is long");
  state.counters["instructions"] = run.instructions;
  state.counters["s_per_instruction"] =
      benchmark::Counter(run.instructions, benchmark::Counter::kIsIterationInvariantRate |
                                               benchmark::Counter::kInvert);
}

void step(benchmark::State& state, int stages_a_link) {
  const Case run = one_f_one_b(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)),
                               stages_a_link);
  Simulator simulator;
  SimulatedStep out;
  for (auto _ : state) out = simulator.step(run.schedule, run.costs);
  report(state, run, out);
}

void no_link_shared(benchmark::State& state) { step(state, 0); }
void two_stages_a_link(benchmark::State& state) { step(state, 2); }
void eight_stages_a_link(benchmark::State& state) { step(state, 8); }

void whole_timeline(benchmark::State& state) {
  const Case run =
      one_f_one_b(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)), 0);
  Simulator simulator;
  for (auto _ : state) benchmark::DoNotOptimize(simulator.timeline(run.schedule, run.costs, 2));
  state.counters["instructions"] = run.instructions;
}

/// Peak memory of the process over that of the schedule alone.
void huge(benchmark::State& state) {
  const Case run =
      one_f_one_b(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)), 0);
  Simulator simulator;
  SimulatedStep out;
  for (auto _ : state) out = simulator.step(run.schedule, run.costs);
  report(state, run, out);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  state.counters["peak_bytes_per_instruction"] =
      1024.0 * static_cast<double>(usage.ru_maxrss) / run.instructions;
}

const auto kGrowing = [](benchmark::internal::Benchmark* bench) {
  bench->Unit(benchmark::kMillisecond);
  for (const auto& [stages, microbatches] :
       {std::pair{4, 32}, {8, 64}, {16, 128}, {32, 256}, {64, 512}, {128, 1024}})
    bench->Args({stages, microbatches});
};
BENCHMARK(no_link_shared)->Apply(kGrowing);
BENCHMARK(two_stages_a_link)->Apply(kGrowing);
BENCHMARK(eight_stages_a_link)->Apply(kGrowing);
BENCHMARK(whole_timeline)->Unit(benchmark::kMillisecond)->Args({64, 512});
BENCHMARK(huge)->Name("no_link_shared/huge")->Unit(benchmark::kMillisecond)->Args({1024, 4096});

}  // namespace
}  // namespace meshplan::planner

BENCHMARK_MAIN();
