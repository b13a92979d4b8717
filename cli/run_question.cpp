#include "cli/run_question.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/flags.h"
#include "planner/inference/serving_file.h"
#include "planner/layout/legality.h"
#include "planner/plan_json.h"
#include "profiles/input_error.h"

namespace meshplan::cli {

using profiles::InputError;
using profiles::Seconds;

RunSettings settings_from(const RunOptions& options) {
  RunSettings out;
  if (options.mode == "partitioned") {
    if (options.backend != "cuda") {
      throw InputError("--mode", "parallel or replay on a CPU (partitioned cuts up one GPU)",
                       "'partitioned'");
    }
    out.mode = runtime::Mode::Partitioned;
  }
  if (options.mode == "parallel") out.mode = runtime::Mode::Parallel;
  if (options.mode == "replay") out.mode = runtime::Mode::Replay;
  if (!options.mode.empty() && !out.mode) {
    throw InputError("--mode", "parallel, replay or partitioned", "'" + options.mode + "'");
  }
  if (!options.tolerance.empty()) out.tolerance = fraction_flag(options.tolerance, "--tolerance");
  out.steps = count_flag(options.steps, "--steps");
  if (out.steps < 2) {
    throw InputError("--steps", "at least 2, because the first one does not count", "1");
  }
  out.timeout = Seconds{positive_flag(options.timeout, "--timeout")};
  return out;
}

RunQuestion question_from(const RunOptions& options) {
  const profiles::DataFiles files(profiles::profile_directories(options.profiles));
  const profiles::JsonNode document = profiles::JsonNode::read_file(options.plan_file);
  if (planner::is_serving(document)) {
    throw InputError(options.plan_file, "a plan of training where a launcher has started the ranks",
                     "one of serving");
  }
  planner::PlanFile file = planner::read_plan(document, files);
  const std::size_t at = plan_flag(options.plan_number, file.layouts.size());
  if (file.profile_differs()) {
    std::fprintf(stderr, "meshplan: note: %s was made with another version of profile %s\n",
                 options.plan_file.c_str(), file.problem.profile.name.c_str());
  }
  nlohmann::json alone = document.raw();
  alone["plans"] = nlohmann::json::array({document.raw().at("plans").at(at)});
  return {std::move(file.problem), file.layouts[at], alone.dump()};
}

runtime::Training training_of(const RunQuestion& question, const planner::Schedule& schedule,
                              int steps) {
  runtime::Training training{
      question.problem.model, question.problem.workload, question.layout, schedule, {}};
  training.options.steps = steps;
  if (!question.problem.framework.dropout) {
    training.model.dropout = training.model.attention_dropout = 0;
  }
  return training;
}

void refuse_unrunnable(const RunQuestion& question, const RunOptions& options, bool on_cores) {
  const auto broken = planner::violations(question.layout, question.problem.model,
                                          question.problem.workload, question.layout.devices());
  if (!broken.empty()) throw InputError(options.plan_file, broken.front().what);
  if (on_cores && question.problem.workload.data_type != profiles::DataType::Fp32) {
    throw InputError(options.plan_file,
                     "cores run fp32 only, found " +
                         std::string(profiles::name(question.problem.workload.data_type)) +
                         " (--backend cuda runs bf16)");
  }
}

}  // namespace meshplan::cli
