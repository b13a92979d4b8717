#include "planner/predict.h"

#include <CLI/App.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <utility>

#include "cli/collective_report.h"
#include "cli/command.h"
#include "cli/flags.h"
#include "cli/local_cluster.h"
#include "cli/megatron_question.h"
#include "cli/plan_report.h"
#include "cli/problem_options.h"
#include "cli/serving.h"
#include "cli/terminal.h"
#include "planner/layout/layout_text.h"
#include "planner/layout/legality.h"
#include "planner/layout/rank_place.h"
#include "planner/plan_json.h"
#include "planner/simulate/gantt.h"
#include "planner/simulate/trace.h"
#include "profiles/atomic_file.h"
#include "profiles/input_error.h"

namespace meshplan::cli {
namespace {

struct Options {
  ProblemOptions problem;
  ServingOptions serving;
  std::string plan_file, plan_number = "0", layout, megatron, out, trace;
  CollectiveQuestion collective;
  bool as_json = false, gantt = false;
};

struct Question {
  planner::Problem problem;
  planner::Layout layout;
  std::string stated_in;  ///< where the layout stands: a flag or the plan file
};

/// A plan file states the whole question; only --set changes it.
void refuse_beside_plan_file(const Options& options) {
  const ProblemOptions& given = options.problem;
  const ProblemOptions plain;
  const std::pair<const char*, bool> flags[] = {
      {"--layout", !options.layout.empty()},
      {"--from-megatron", !options.megatron.empty()},
      {"--model", given.model != plain.model},
      {"--cluster", given.cluster != plain.cluster},
      {"--seq-len", given.seq_len != plain.seq_len},
      {"--global-batch", given.global_batch != plain.global_batch},
      {"--dtype", given.dtype != plain.dtype},
      {"--optimizer", given.optimizer != plain.optimizer},
      {"--framework", given.framework != plain.framework},
      {"--attention", given.attention != plain.attention},
      {"--optimizer-sync", given.optimizer_sync != plain.optimizer_sync},
      {"--memory-margin", given.memory_margin != plain.memory_margin}};
  for (const auto& [flag, stated] : flags) {
    if (!stated) continue;
    throw profiles::InputError("predict", std::string("a plan file or ") + flag, "both");
  }
}

Question question_from(const Options& options) {
  const profiles::DataFiles files = data_files(options.problem);
  if (!options.plan_file.empty()) {
    refuse_beside_plan_file(options);
    planner::PlanFile file =
        planner::read_plan(profiles::JsonNode::read_file(options.plan_file), files);
    const std::size_t at = plan_flag(options.plan_number, file.layouts.size());
    if (file.profile_differs()) {
      std::fprintf(stderr, "meshplan: note: %s was made with another version of profile %s\n",
                   options.plan_file.c_str(), file.problem.profile.name.c_str());
    }
    if (!options.problem.settings.empty()) {
      file.problem.cluster = with_settings(file.problem.cluster, options.problem.settings, files);
      file.problem.profile = profiles::load_profile(file.problem.cluster, files);
    }
    return {std::move(file.problem), file.layouts[at], options.plan_file};
  }
  if (!options.megatron.empty()) {
    if (!options.layout.empty()) {
      throw profiles::InputError("predict", "--layout or --from-megatron", "both");
    }
    MegatronQuestion asked = question_from_megatron(options.megatron, options.problem, files);
    return {std::move(asked.problem), std::move(asked.layout), "--from-megatron"};
  }
  if (options.layout.empty()) {
    throw profiles::InputError("--layout", "a layout such as tp8,pp4,dp4,mbs1", "nothing");
  }
  const planner::Layout layout = planner::layout_from_text(options.layout, "--layout");
  return {problem_from(options.problem, files), layout, "--layout"};
}

/// Exit 1 when there are too few devices; any other broken rule is refused.
std::optional<int> refuse_illegal(const Question& question) {
  const planner::Problem& problem = question.problem;
  const auto broken = planner::violations(question.layout, problem.model, problem.workload,
                                          problem.cluster.devices());
  for (const planner::Violation& violation : broken) {
    if (violation.rule != planner::Rule::Devices) {
      throw profiles::InputError(question.stated_in, violation.what);
    }
    std::fprintf(stderr, "meshplan: %s: %s\n", question.stated_in.c_str(), violation.what.c_str());
    return kAnswerIsNo;
  }
  return std::nullopt;
}

void write_trace_file(const std::string& path, const Question& question,
                      const planner::PreparedLayout& prepared) {
  planner::TraceOptions options;
  const int per_node = question.problem.cluster.devices_used_per_node;
  for (int stage = 0; stage < question.layout.pp; ++stage) {
    const planner::RankPlace place{.pp = stage};
    options.node_of_rank.push_back(planner::rank_of(question.layout, place) / per_node);
    const auto& m = prepared.memory[static_cast<std::size_t>(stage)];
    options.resident.push_back(m.device() - m.activations);
  }
  std::ostringstream text;
  write_trace(text, prepared.schedule, simulate(prepared.schedule, prepared.costs), options);
  profiles::write_atomically(path, text.str());
}

int answer_collective(const Options& options) {
  if (options.problem.cluster.empty()) {
    throw profiles::InputError("--cluster", "a cluster such as dgx-h100:4", "nothing");
  }
  if (!options.layout.empty()) {
    throw profiles::InputError("predict", "--layout or --collective", "both");
  }
  const profiles::DataFiles files = data_files(options.problem);
  const auto cluster =
      with_settings(cluster_from(options.problem.cluster, files), options.problem.settings, files);
  std::fputs(collective_answer(options.collective, cluster, options.as_json).c_str(), stdout);
  return kDone;
}

int run(const Options& options) {
  if (!options.collective.operation.empty()) return answer_collective(options);
  if (!options.collective.bytes.empty() || !options.collective.ranks.empty()) {
    throw profiles::InputError(options.collective.bytes.empty() ? "--ranks" : "--bytes",
                               "--collective with it", "none");
  }
  require_inference_with(options.serving);
  if (options.serving.inference) {
    if (!options.trace.empty() || options.gantt) {
      throw profiles::InputError(options.trace.empty() ? "--gantt" : "--trace", "a training step",
                                 "--inference");
    }
    return predict_serving(options.problem, options.serving, options.layout,
                           {.out = options.out, .as_json = options.as_json});
  }
  const Question question = question_from(options);
  const planner::Problem& problem = question.problem;
  if (const auto exit = refuse_illegal(question)) return *exit;
  planner::PriceBook book(problem);
  const planner::PreparedLayout prepared = prepare(book, question.layout);
  planner::PlanResult result;
  result.plans.push_back(assemble_plan(book, question.layout, prepared,
                                       planner::simulate_step(prepared.schedule, prepared.costs)));
  nlohmann::json document = plan_json(problem, result);
  if (!options.out.empty()) profiles::write_atomically(options.out, document.dump(1) + "\n");
  if (!options.trace.empty()) write_trace_file(options.trace, question, prepared);
  std::string text;
  if (options.as_json) {
    const planner::Timeline timeline = simulate(prepared.schedule, prepared.costs);
    document["timeline"] = timeline_json(prepared.schedule, timeline);
    text = document.dump(1) + "\n";
  } else {
    text = question_text(problem) + "\n" + plan_text(problem, result.plans.front());
  }
  if (options.gantt && !options.as_json) {
    const planner::GanttOptions style{.colour = wants_colour(stdout)};
    text += "\n" + gantt(prepared.schedule, simulate(prepared.schedule, prepared.costs), style);
  }
  std::fputs(text.c_str(), stdout);
  return result.plans.front().fits ? kDone : kAnswerIsNo;
}

}  // namespace

void add_predict(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("predict", "One layout, simulated: time and memory, by term");
  auto options = std::make_shared<Options>();
  command->add_option("plan", options->plan_file, "a plan file instead of the flags below")
      ->type_name("plan.json");
  add_problem_options(*command, options->problem);
  add_serving_options(*command, options->serving);
  command->add_option("--layout", options->layout, "e.g. tp8,pp8,dp4,mbs1,vpp3,sp,zero1")
      ->type_name("L");
  command
      ->add_option("--from-megatron", options->megatron,
                   "the flags of a Megatron-LM run, in quotes, instead of --layout")
      ->type_name("FLAGS");
  command
      ->add_option("--collective", options->collective.operation,
                   "predict one collective instead: all_reduce, all_gather, ...")
      ->type_name("OP");
  command->add_option("--bytes", options->collective.bytes, "its size as nccl-tests counts it")
      ->type_name("1G");
  command->add_option("--ranks", options->collective.ranks, "its ranks (all devices)")
      ->type_name("N");
  command->add_option("--plan", options->plan_number, "which plan of the file, counted from 0 (0)")
      ->type_name("N");
  command->add_option("--out", options->out, "write the prediction to a plan file")
      ->type_name("FILE");
  command->add_option("--trace", options->trace, "write the timeline as Chrome trace events")
      ->type_name("FILE");
  command->add_flag("--gantt", options->gantt, "draw one step of the pipeline");
  command->add_flag("--json", options->as_json, "one JSON document on standard output");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace meshplan::cli
