#include <fmt/format.h>

#include <CLI/App.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "cli/command.h"
#include "cli/flags.h"
#include "planner/export/data_parallel.h"
#include "planner/export/launch.h"
#include "planner/export/nearest_plan.h"
#include "planner/inference/serving_file.h"
#include "planner/layout/layout_text.h"
#include "planner/layout/legality.h"
#include "planner/plan_json.h"
#include "profiles/atomic_file.h"
#include "profiles/engine.h"
#include "profiles/input_error.h"
#include "profiles/json_node.h"
#include "profiles/number_format.h"

namespace meshplan::cli {
namespace {

using planner::Problem;
using planner::TargetFramework;
using profiles::JsonNode;

struct Options {
  std::string plan_file, framework, plan_number = "0", out;
  std::string profiles;
};

/// "step 32.1 s (80% interval 30.1 s to 34.2 s), 130,652 tokens/s, MFU 49.7%, 76.1 GB of 84.9 GB"
std::string prediction_note(const JsonNode& plan) {
  const auto prediction = plan.find_value("prediction");
  if (!prediction) return "not stated in the plan";
  const auto number = [&](const JsonNode& node, const char* key) -> std::optional<double> {
    const auto value = node.find_value(key);
    return value ? std::optional(value->number()) : std::nullopt;
  };
  std::string out;
  const auto add = [&](const std::string& part) { out += (out.empty() ? "" : ", ") + part; };
  const auto seconds = [](double value) { return profiles::human(profiles::Seconds{value}); };
  if (const auto step = number(*prediction, "step_seconds")) {
    const auto low = number(*prediction, "step_seconds_low");
    const auto high = number(*prediction, "step_seconds_high");
    add("step " + seconds(*step));
    if (low && high) {
      out += fmt::format(" (80% interval {} to {})", seconds(*low), seconds(*high));
    }
  }
  if (const auto ttft = number(*prediction, "ttft_seconds")) add("TTFT " + seconds(*ttft));
  if (const auto tpot = number(*prediction, "tpot_seconds")) add("TPOT " + seconds(*tpot));
  if (const auto rate = number(*prediction, "tokens_per_second")) {
    add(profiles::with_thousands(static_cast<std::int64_t>(*rate)) + " tokens/s");
  }
  if (const auto mfu = number(*prediction, "mfu")) add(fmt::format("MFU {:.1f}%", 100 * *mfu));
  if (const auto memory = prediction->find_value("memory")) {
    const auto peak = number(*memory, "peak_bytes");
    const auto capacity = number(*memory, "capacity_bytes");
    const auto bytes = [](double value) {
      return profiles::human(profiles::Bytes{static_cast<std::int64_t>(value)});
    };
    if (peak && capacity) add(fmt::format("{} of {} a device", bytes(*peak), bytes(*capacity)));
  }
  return out;
}

std::string workload_note(const planner::Workload& workload) {
  if (workload.kind == planner::Workload::Kind::Inference) {
    return fmt::format("prompts of {} tokens, outputs of {}, {}",
                       profiles::with_thousands(workload.prompt),
                       profiles::with_thousands(workload.output), name(workload.data_type));
  }
  return fmt::format("{} sequences of {} tokens a step, {}, {}",
                     profiles::with_thousands(workload.global_batch),
                     profiles::with_thousands(workload.seq_len), name(workload.data_type),
                     name(workload.optimizer));
}

std::vector<std::string> notes(const TargetFramework& framework, const Problem& problem,
                               const planner::Layout& layout, const JsonNode& plan) {
  const bool training = problem.workload.kind == planner::Workload::Kind::Training;
  const profiles::Cluster& cluster = problem.cluster;
  return {framework.full_name() + ", written by meshplan " MESHPLAN_VERSION,
          fmt::format("{} on {}, {} x {} {}", problem.model.name, cluster.name, cluster.nodes,
                      cluster.devices_used_per_node, cluster.device.id),
          workload_note(problem.workload), "layout: " + text(layout, training),
          "predicted: " + prediction_note(plan)};
}

/// One line: the rule, its words, and what would run instead.
std::string refusal(const TargetFramework& framework, const Problem& problem,
                    const planner::Layout& layout, const std::vector<planner::BrokenRule>& broken) {
  const bool training = problem.workload.kind == planner::Workload::Kind::Training;
  std::string out = fmt::format("{} cannot run {}", framework.full_name(), text(layout, training));
  const bool other_work = training != framework.training;
  for (const planner::BrokenRule& rule : broken) {
    // Of a plan for other work only that is worth saying.
    if (other_work && &rule != &broken.front()) break;
    out += fmt::format("{} [{}] {}", &rule == &broken.front() ? ":" : ";", rule.id, rule.what);
  }
  const auto nearest = planner::nearest_plan(framework, problem, layout);
  if (!nearest) return out + "; it runs no plan of this problem";
  out += "; the nearest plan it can run is " + text(nearest->layout, training);
  if (nearest->step) out += ", " + profiles::human(*nearest->step) + " a step";
  return out;
}

/// What a plan file asks, and the plan of it that is exported.
struct ExportFile {
  Problem problem;
  std::size_t at = 0;  ///< which plan of the file
  planner::Layout layout;
  std::optional<profiles::Engine> engine;  ///< whose habits the prediction rests on, if known
};

/// A file of `plan --inference`: each plan has a demand of its own.
ExportFile read_serving(const JsonNode& document, const TargetFramework& framework,
                        const profiles::DataFiles& files, const std::string& number) {
  planner::ServingFile file = planner::read_serving(document, files);
  ExportFile out{std::move(file.problem), plan_flag(number, file.plans.size()), {}, {}};
  const planner::ServingFile::Plan& plan = file.plans[out.at];
  out.layout = plan.layout;
  planner::Workload& workload = out.problem.workload;
  if (plan.demand.kind == planner::Demand::Kind::Batch) workload.batch = plan.demand.count;
  if (plan.demand.kind == planner::Demand::Kind::Users) workload.concurrency = plan.demand.count;
  const profiles::Engine engine = profiles::load_engine(framework.name, files);
  if (engine.known) out.engine = engine;
  return out;
}

ExportFile read_export(const JsonNode& document, const TargetFramework& framework,
                       const profiles::DataFiles& files, const std::string& number) {
  if (planner::is_serving(document)) return read_serving(document, framework, files, number);
  planner::PlanFile file = planner::read_plan(document, files);
  const std::size_t at = plan_flag(number, file.layouts.size());
  return {std::move(file.problem), at, std::move(file.layouts[at]), std::nullopt};
}

int run(const Options& options) {
  if (options.plan_file.empty()) {
    throw profiles::InputError("export", "a plan file, as 'plan --out' writes it", "nothing");
  }
  if (options.framework.empty()) {
    throw profiles::InputError("--to", "a framework such as megatron", "nothing");
  }
  const profiles::DataFiles files(profiles::profile_directories(options.profiles));
  const planner::FrameworkRules rules(files);
  const TargetFramework& framework = rules.at(options.framework, "--to");
  const JsonNode document = JsonNode::read_file(options.plan_file);
  const ExportFile file = read_export(document, framework, files, options.plan_number);
  const Problem& problem = file.problem;
  const planner::Layout& layout = file.layout;
  const auto illegal =
      planner::violations(layout, problem.model, problem.workload, problem.cluster.devices());
  if (!illegal.empty()) throw profiles::InputError(options.plan_file, illegal.front().what);
  planner::FrameworkJudge judge(framework, problem);
  const auto broken = judge.broken_rules(layout);
  if (!broken.empty()) {
    std::fprintf(stderr, "meshplan: %s\n", refusal(framework, problem, layout, broken).c_str());
    return kAnswerIsNo;
  }
  const JsonNode plan = document.at("plans").elements()[file.at];
  planner::LaunchPlan launch{problem, layout, notes(framework, problem, layout, plan), file.engine};
  if (const auto fits = plan.find_value("fits"); fits && !fits->boolean()) {
    launch.notes.emplace_back("it does not fit the devices' memory");
    std::fprintf(stderr, "meshplan: note: the plan does not fit the devices' memory\n");
  }
  if (framework.name == "dataparallel") {
    launch.notes.push_back(single_process_advice(problem, layout));
    std::fprintf(stderr, "meshplan: advice: %s\n", launch.notes.back().c_str());
  }
  const std::string text = launch_text(framework, launch);
  if (options.out.empty()) {
    std::fputs(text.c_str(), stdout);
  } else {
    profiles::write_atomically(options.out, text);
  }
  return kDone;
}

}  // namespace

void add_export(CLI::App& app, Action& action) {
  auto* command =
      app.add_subcommand("export", "A launch configuration of a plan, as a framework takes it");
  auto options = std::make_shared<Options>();
  command->add_option("plan", options->plan_file, "a plan file, as 'plan --out' writes it")
      ->type_name("plan.json");
  command
      ->add_option("--to", options->framework,
                   "megatron, deepspeed, torchtitan, fsdp, pipelining, gpipe, dataparallel, vllm, "
                   "tensorrt-llm, sglang or tgi")
      ->type_name("F");
  command->add_option("--plan", options->plan_number, "which plan of the file, counted from 0 (0)")
      ->type_name("N");
  command->add_option("--out", options->out, "write it to a file instead of standard output")
      ->type_name("FILE");
  command
      ->add_option("--profiles", options->profiles,
                   "directory with presets, profiles and rules of your own")
      ->type_name("DIR");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace meshplan::cli
