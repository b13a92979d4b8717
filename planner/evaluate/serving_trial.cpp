#include "planner/evaluate/serving_trial.h"

namespace meshplan::planner {
namespace {

constexpr int kSpareTokens = 1500;  ///< of a step's budget, besides one prompt and the users

void as_aiconfigurator_starts(ServingTrial& trial, const std::string& version) {
  const Workload& w = trial.problem.workload;
  profiles::Engine& engine = trial.engine;
  if (engine.name == "sglang") {
    if (version.starts_with("0.5.1")) return;
    engine.fuses_prefill = true;
  }
  engine.max_batched_tokens = w.prompt + kSpareTokens + *w.concurrency;
}

void as_inferencemax_sends(ServingTrial& trial) {
  Workload& w = trial.problem.workload;
  w.prompt = w.prompt * 9 / 10;
  w.output = w.output * 9 / 10;
  trial.demand.spread = 1.0 / 9;
  trial.engine.schedules_ahead = true;
}

}  // namespace

ServingTrial serving_trial(const RecordedRun& run) {
  ServingTrial out{run.problem, demand_of(run.problem.workload), run.engine};
  const Workload& w = run.problem.workload;
  if (!w.concurrency) return out;
  const auto of_scenario = [](int tokens) { return tokens == 1024 || tokens == 8192; };
  const bool states_version = !run.engine_version.empty() && run.engine_version != "unstated";
  if (run.source.starts_with("AIConfigurator") && states_version) {
    as_aiconfigurator_starts(out, run.engine_version);
  } else if (of_scenario(w.prompt) && of_scenario(w.output)) {
    as_inferencemax_sends(out);
  }
  return out;
}

}  // namespace meshplan::planner
