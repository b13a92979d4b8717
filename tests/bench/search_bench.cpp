// The planner's speed on the questions of docs/benchmarks: complete answers, exact, one core.
#include <benchmark/benchmark.h>

#include <stdexcept>

#include "planner/search/search.h"
#include "tests/support/problems.h"

namespace meshplan::planner {
namespace {

/// GPT-3 175B on `devices` A100-80GB; every dimension of the space.
void search_gpt3(benchmark::State& state) {
  const int nodes = static_cast<int>(state.range(0)) / 8;
  const Problem problem =
      test::training_problem("gpt3-175b", "dgx-a100-80gb:" + std::to_string(nodes), 2048,
                             static_cast<int>(state.range(1)));
  SearchReport report;
  for (auto _ : state) {
    const PlanResult found = search(problem, {});
    if (found.plans.empty()) throw std::logic_error("GPT-3 must fit on 4,096 devices");
    report = *found.search;
  }
  const auto layouts = static_cast<double>(report.candidates);
  state.counters["layouts"] = layouts;
  state.counters["feasible"] = static_cast<double>(report.feasible);
  state.counters["simulated"] = static_cast<double>(report.simulated);
  state.counters["layouts/s"] =
      benchmark::Counter(layouts, benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(search_gpt3)
    ->ArgNames({"devices", "batch"})
    ->Args({4096, 2304})
    ->Args({4096, 6144})
    ->Args({1 << 20, 1 << 20})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace meshplan::planner

BENCHMARK_MAIN();
