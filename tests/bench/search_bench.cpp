// The planner's speed on the questions of docs/benchmarks: complete answers, exact, one core.
#include <benchmark/benchmark.h>

#include <stdexcept>

#include "planner/search/search.h"
#include "tests/support/problems.h"

namespace meshplan::planner {
namespace {

/// Times the search; how much there was to search stands beside.
void time_search(benchmark::State& state, const Problem& problem) {
  SearchReport report;
  for (auto _ : state) {
    const PlanResult found = search(problem, {});
    if (found.plans.empty()) throw std::logic_error("something must fit");
    report = *found.search;
  }
  const auto layouts = static_cast<double>(report.candidates);
  state.counters["layouts"] = layouts;
  state.counters["feasible"] = static_cast<double>(report.feasible);
  state.counters["simulated"] = static_cast<double>(report.simulated);
  state.counters["layouts/s"] =
      benchmark::Counter(layouts, benchmark::Counter::kIsIterationInvariantRate);
}

/// GPT-3 175B on A100-80GB; every dimension of the space but context parallelism.
void search_gpt3(benchmark::State& state) {
  const int nodes = static_cast<int>(state.range(0)) / 8;
  time_search(state, test::training_problem("gpt3-175b", "dgx-a100-80gb:" + std::to_string(nodes),
                                            2048, static_cast<int>(state.range(1))));
}
BENCHMARK(search_gpt3)
    ->ArgNames({"devices", "batch"})
    ->Args({4096, 2304})
    ->Args({4096, 6144})
    ->Args({1 << 20, 1 << 20})
    ->Unit(benchmark::kMillisecond);

/// Llama 3.1 405B on H100 with 16 million tokens a step: the longer the sequences, the more degrees
/// of context parallelism there are.
void search_long_context(benchmark::State& state) {
  const int seq_len = static_cast<int>(state.range(1));
  const int nodes = static_cast<int>(state.range(0)) / 8;
  time_search(state, test::training_problem("llama-3.1-405b", "dgx-h100:" + std::to_string(nodes),
                                            seq_len, (1 << 24) / seq_len));
}
BENCHMARK(search_long_context)
    ->ArgNames({"devices", "seq_len"})
    ->Args({8192, 8192})
    ->Args({8192, 32768})
    ->Args({8192, 131072})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace meshplan::planner

BENCHMARK_MAIN();
