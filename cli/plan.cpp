#include <CLI/App.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/command.h"
#include "cli/flags.h"
#include "cli/fleet_answer.h"
#include "cli/framework_filter.h"
#include "cli/plan_report.h"
#include "cli/problem_options.h"
#include "cli/serving.h"
#include "cli/terminal.h"
#include "cli/what_if.h"
#include "planner/export/data_parallel.h"
#include "planner/layout/layout_text.h"
#include "planner/plan_json.h"
#include "planner/search/search.h"
#include "profiles/atomic_file.h"
#include "profiles/input_error.h"
#include "profiles/nearest_name.h"
#include "profiles/number_format.h"

namespace meshplan::cli {
namespace {

using planner::Objective;

struct Options {
  ProblemOptions problem;
  ServingOptions serving;
  FleetFlags fleet;
  std::string top = "10", distinct = "layouts", objective = "throughput", fixed, runs_on, out;
  bool as_json = false;
};

Objective objective_from(const std::string& text) {
  if (text == "throughput") return Objective::Throughput;
  if (text == "latency") return Objective::Latency;
  if (text == "memory") return Objective::Memory;
  if (text == "cost") return Objective::Cost;
  const std::vector<std::string> known = {"throughput", "latency", "memory", "cost"};
  throw profiles::InputError("--objective", "throughput, latency, memory or cost",
                             "'" + text + "'" + profiles::did_you_mean(text, known));
}

planner::Distinct distinct_from(const std::string& text) {
  if (text == "layouts") return planner::Distinct::Layouts;
  if (text == "degrees") return planner::Distinct::Degrees;
  const std::vector<std::string> known = {"layouts", "degrees"};
  throw profiles::InputError("--distinct", "layouts or degrees",
                             "'" + text + "'" + profiles::did_you_mean(text, known));
}

int run(const Options& options) {
  require_inference_with(options.serving);
  if (options.serving.inference) {
    if (options.distinct != Options{}.distinct) {
      throw profiles::InputError("--inference", "flags of serving",
                                 "--distinct, which is of training");
    }
    if (options.fleet.asked()) {
      throw profiles::InputError(
          "--inference", "flags of serving",
          "--deadline-days, --tokens or --max-dollars, which are of training");
    }
    return plan_serving(options.problem, options.serving,
                        {options.top, options.objective, options.fixed, options.runs_on,
                         options.out, options.as_json});
  }
  const profiles::DataFiles files = data_files(options.problem);
  const planner::Problem problem = problem_from(options.problem, files);
  Progress progress;
  planner::SearchOptions search;
  search.top = count_flag(options.top, "--top");
  search.distinct = distinct_from(options.distinct);
  search.objective = objective_from(options.objective);
  if (!options.fixed.empty()) search.fixed = planner::read_layout_text(options.fixed, "--fix");
  std::optional<FrameworkFilter> filter;
  if (!options.runs_on.empty()) {
    filter.emplace(options.runs_on, files, problem);
    search.refusing_rule = filter->rule();
  }
  if (options.fleet.asked()) {
    return answer_fleet(fleet_question(options.fleet, problem), problem, search, options.as_json,
                        options.out);
  }
  search.progress = [&](const planner::SearchReport& report) {
    progress.show(profiles::with_thousands(report.simulated) + " of " +
                  profiles::with_thousands(report.feasible) + " layouts simulated");
  };
  const planner::PlanResult result = planner::search(problem, search);
  const auto change = what_if(options.problem, files, problem, search, result);
  progress.clear();
  nlohmann::json answer = plan_json(problem, result);
  if (change) answer["what_if"] = what_if_json(*change);
  const std::string document = answer.dump(1) + "\n";
  if (!options.out.empty() && !result.plans.empty()) {
    profiles::write_atomically(options.out, document);
  }
  if (options.as_json) {
    std::fputs(document.c_str(), stdout);
  } else {
    std::string text = question_text(problem) + "\n";
    if (change) text += what_if_text(*change) + "\n";
    text += plans_text(problem, result);
    if (!result.plans.empty()) text += "\n" + plan_text(problem, result.plans.front());
    std::fputs(text.c_str(), stdout);
  }
  if (filter && filter->framework().name == "dataparallel" && !result.plans.empty()) {
    const std::string advice = single_process_advice(problem, result.plans.front().layout);
    std::fprintf(stderr, "meshplan: advice: %s\n", advice.c_str());
  }
  return result.plans.empty() ? kAnswerIsNo : kDone;
}

}  // namespace

void add_plan(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("plan", "The best layouts for a model on a cluster");
  auto options = std::make_shared<Options>();
  add_problem_options(*command, options->problem);
  add_serving_options(*command, options->serving);
  command->add_option("--top", options->top, "how many layouts to show (10)")->type_name("N");
  command
      ->add_option("--distinct", options->distinct,
                   "layouts: each in its best order of axes; degrees: of each tp, pp, dp, cp, ep "
                   "the best layout (layouts)")
      ->type_name("D");
  command
      ->add_option("--objective", options->objective,
                   "throughput, latency, memory or cost (throughput)")
      ->type_name("O");
  command->add_option("--fix", options->fixed, "what every layout must have, e.g. tp8,pp4")
      ->type_name("L");
  command
      ->add_option("--for", options->runs_on,
                   "search only what this framework runs: megatron, deepspeed, torchtitan, fsdp, "
                   "pipelining, gpipe, dataparallel; with --inference vllm, tensorrt-llm, sglang, "
                   "tgi")
      ->type_name("F");
  add_fleet_options(*command, options->fleet);
  command->add_option("--out", options->out, "write the answer to a plan file")->type_name("FILE");
  command->add_flag("--json", options->as_json, "one JSON document on standard output");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace meshplan::cli
