#include "planner/explain/explain.h"

#include <CLI/App.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/explain_report.h"
#include "cli/plan_report.h"
#include "cli/problem_options.h"
#include "cli/terminal.h"
#include "planner/explain/explain_json.h"
#include "planner/layout/layout_text.h"
#include "planner/plan_json.h"
#include "profiles/input_error.h"
#include "profiles/number_format.h"

namespace meshplan::cli {
namespace {

struct Options {
  ProblemOptions problem;
  std::string layout;
  bool as_json = false;
};

int run(const Options& options) {
  if (options.layout.empty()) {
    throw profiles::InputError("--layout", "a layout such as tp8,pp4,dp4,mbs1", "nothing");
  }
  const planner::Layout layout = planner::layout_from_text(options.layout, "--layout");
  const planner::Problem problem = problem_from(options.problem, data_files(options.problem));
  Progress progress;
  planner::SearchOptions search;
  search.progress = [&](const planner::SearchReport& report) {
    progress.show(profiles::with_thousands(report.simulated) + " of " +
                  profiles::with_thousands(report.feasible) + " layouts simulated");
  };
  const planner::Explanation explanation = planner::explain(problem, layout, search);
  progress.clear();
  if (options.as_json) {
    const nlohmann::json answer = plan_json(problem, explanation.searched);
    nlohmann::json document = explanation_json(explanation);
    document["schema"] = "meshplan.explanation/1";
    for (const char* key : {"model", "cluster", "workload", "profile"}) document[key] = answer[key];
    std::fputs((document.dump(1) + "\n").c_str(), stdout);
  } else {
    std::fputs((question_text(problem) + "\n" + explanation_text(problem, explanation)).c_str(),
               stdout);
  }
  return kDone;
}

}  // namespace

void add_explain(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand(
      "explain", "Why a layout does not run, fit or win: what fails, what mends it, term by term");
  auto options = std::make_shared<Options>();
  add_problem_options(*command, options->problem);
  command->add_option("--layout", options->layout, "e.g. tp8,pp8,dp4,mbs1,vpp3,sp,zero1")
      ->type_name("L");
  command->add_flag("--json", options->as_json, "one JSON document on standard output");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace meshplan::cli
