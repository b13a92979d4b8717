#include "planner/predict.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/plan_report.h"
#include "cli/problem_options.h"
#include "planner/layout/layout_text.h"
#include "planner/layout/legality.h"
#include "planner/plan_json.h"
#include "profiles/atomic_file.h"
#include "profiles/input_error.h"

namespace meshplan::cli {
namespace {

struct Options {
  ProblemOptions problem;
  std::string plan_file, plan_number = "0", layout, out;
  bool as_json = false;
};

struct Question {
  planner::Problem problem;
  planner::Layout layout;
};

Question question_from(const Options& options) {
  const profiles::DataFiles files = data_files(options.problem);
  if (!options.plan_file.empty()) {
    if (!options.layout.empty() || !options.problem.model.empty()) {
      throw profiles::InputError("predict", "a plan file, or --model, --cluster and --layout",
                                 "both");
    }
    planner::PlanFile file =
        planner::read_plan(profiles::JsonNode::read_file(options.plan_file), files);
    const std::string& number = options.plan_number;
    const int at = number == "0" ? 0 : count_flag(number, "--plan");
    if (at >= static_cast<int>(file.layouts.size())) {
      throw profiles::InputError(
          "--plan", "a plan from 0 to " + std::to_string(file.layouts.size() - 1), number);
    }
    if (file.profile_differs()) {
      std::fprintf(stderr, "meshplan: note: %s was made with another version of profile %s\n",
                   options.plan_file.c_str(), file.problem.profile.name.c_str());
    }
    return {std::move(file.problem), file.layouts[static_cast<std::size_t>(at)]};
  }
  if (options.layout.empty()) {
    throw profiles::InputError("--layout", "a layout such as tp8,pp4,dp4,mbs1", "nothing");
  }
  const planner::Layout layout = planner::layout_from_text(options.layout, "--layout");
  return {problem_from(options.problem, files), layout};
}

int run(const Options& options) {
  Question question = question_from(options);
  const planner::Problem& problem = question.problem;
  const int devices = problem.cluster.devices();
  const auto broken =
      planner::violations(question.layout, problem.model, problem.workload, devices);
  for (const planner::Violation& violation : broken) {
    if (violation.rule == planner::Rule::Devices) {
      std::fprintf(stderr, "meshplan: %s\n", violation.what.c_str());
      return kAnswerIsNo;
    }
    throw profiles::InputError("layout", violation.what);
  }
  planner::PriceBook book(problem);
  planner::PlanResult result;
  result.plans.push_back(planner::predict(book, question.layout));
  const std::string document = plan_json(problem, result).dump(1) + "\n";
  if (!options.out.empty()) profiles::write_atomically(options.out, document);
  if (options.as_json) {
    std::fputs(document.c_str(), stdout);
  } else {
    const std::string text =
        question_text(problem) + "\n" + plan_text(problem, result.plans.front());
    std::fputs(text.c_str(), stdout);
  }
  return result.plans.front().fits ? kDone : kAnswerIsNo;
}

}  // namespace

void add_predict(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("predict", "One layout, simulated: time and memory, by term");
  auto options = std::make_shared<Options>();
  command->add_option("plan", options->plan_file, "a plan file instead of the flags below")
      ->type_name("plan.json");
  add_problem_options(*command, options->problem);
  command->add_option("--layout", options->layout, "e.g. tp8,pp8,dp4,mbs1,vpp3,sp,zero1")
      ->type_name("L");
  command->add_option("--plan", options->plan_number, "which plan of the file (0)")->type_name("N");
  command->add_option("--out", options->out, "write the prediction to a plan file")
      ->type_name("FILE");
  command->add_flag("--json", options->as_json, "one JSON document on standard output");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace meshplan::cli
