#include "cli/serving.h"

#include <CLI/App.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/flags.h"
#include "cli/framework_filter.h"
#include "cli/serving_report.h"
#include "planner/inference/search_inference.h"
#include "planner/inference/step_time.h"
#include "planner/layout/legality.h"
#include "profiles/atomic_file.h"
#include "profiles/engine.h"
#include "profiles/input_error.h"
#include "profiles/nearest_name.h"

namespace meshplan::cli {
namespace {

using planner::Demand;
using planner::ServingLimit;
using planner::ServingObjective;
using profiles::InputError;
using profiles::Seconds;

ServingObjective objective_from(const std::string& text) {
  if (text == "throughput") return ServingObjective::Throughput;
  if (text == "latency") return ServingObjective::Latency;
  if (text == "memory") return ServingObjective::Memory;
  if (text == "cost") return ServingObjective::Cost;
  const std::vector<std::string> known = {"throughput", "latency", "memory", "cost"};
  throw InputError("--objective", "throughput, latency, memory or cost",
                   "'" + text + "'" + profiles::did_you_mean(text, known));
}

/// "500", "p50=500" or "p99=500".
std::optional<ServingLimit> limit_from(const std::string& text, const std::string& flag) {
  if (text.empty()) return std::nullopt;
  ServingLimit out;
  std::string number = text;
  const std::size_t equals = text.find('=');
  if (equals != std::string::npos) {
    const std::string of = text.substr(0, equals);
    if (of != "p50" && of != "p99") throw InputError(flag, "X, p50=X or p99=X", "'" + text + "'");
    out.of = of == "p50" ? ServingLimit::Of::P50 : ServingLimit::Of::P99;
    number = text.substr(equals + 1);
  }
  out.most = Seconds{positive_flag(number, flag) / 1000};
  return out;
}

/// None: not stated, so that a search tries several.
std::optional<Demand> demand_from(const ServingOptions& options) {
  if (!options.batch.empty()) {
    if (!options.concurrency.empty()) {
      throw InputError("--batch", "--batch or --concurrency", "both");
    }
    return Demand{Demand::Kind::Batch, count_flag(options.batch, "--batch")};
  }
  if (options.concurrency.empty()) return std::nullopt;
  if (options.concurrency == "max") return Demand{};
  return Demand{Demand::Kind::Users, count_flag(options.concurrency, "--concurrency"),
                planner::ServingSearch{}.spread};
}

struct Question {
  planner::Problem problem;
  profiles::Engine engine;
  std::optional<Demand> demand;
};

Question question_from(const ProblemOptions& given, const ServingOptions& serving,
                       const profiles::DataFiles& files) {
  ProblemOptions options = given;
  if (!given.seq_len.empty() || !given.global_batch.empty()) {
    throw InputError("--inference", "--prompt and --output",
                     "--seq-len or --global-batch, which are of training");
  }
  // A serving problem is read as any other; its workload is stated by its own flags.
  options.seq_len = options.global_batch = "1";
  Question out;
  out.problem = problem_from(options, files);
  planner::Workload& w = out.problem.workload;
  w = {.kind = planner::Workload::Kind::Inference, .data_type = w.data_type};
  w.prompt = count_flag(serving.prompt, "--prompt");
  w.output = count_flag(serving.output, "--output");
  out.demand = demand_from(serving);
  if (out.demand && out.demand->kind == Demand::Kind::Batch) w.batch = out.demand->count;
  if (out.demand && out.demand->kind == Demand::Kind::Users) w.concurrency = out.demand->count;
  return out;
}

/// The engine that was named must have a file.
profiles::Engine engine_named(const std::string& name, const profiles::DataFiles& files) {
  profiles::Engine out = profiles::load_engine(name, files);
  if (!out.known) {
    (void)profiles::named_at("--engine", "engine",
                             [&] { return files.at("engines", name, "engine"); });
  }
  return out;
}

void write(const nlohmann::json& document, const std::string& text, const ServingOutput& output) {
  const std::string as_json = document.dump(1) + "\n";
  if (!output.out.empty()) profiles::write_atomically(output.out, as_json);
  std::fputs((output.as_json ? as_json : text).c_str(), stdout);
}

}  // namespace

void add_serving_options(CLI::App& command, ServingOptions& options) {
  const auto add = [&](const char* flag, std::string& target, const char* help, const char* type) {
    command.add_option(flag, target, help)->type_name(type)->group("Inference");
  };
  command.add_flag("--inference", options.inference, "serving instead of training")
      ->group("Inference");
  add("--prompt", options.prompt, "tokens of a prompt", "N");
  add("--output", options.output, "tokens of an answer", "N");
  add("--concurrency", options.concurrency,
      "requests under way, or max: all at once (plan: searched)", "N|max");
  add("--batch", options.batch, "one static batch instead", "N");
  add("--engine", options.engine,
      "whose habits to assume: vllm, sglang, ... as 'meshplan list engines' (that of --for, else "
      "generic)",
      "E");
  add("--max-ttft-ms", options.max_ttft_ms,
      "longest time to the first token: 500 on average, p50=500, p99=500", "X");
  add("--max-tpot-ms", options.max_tpot_ms, "the same per output token", "X");
}

void require_inference_with(const ServingOptions& options) {
  if (options.inference) return;
  const auto needs = [](const char* flag, const std::string& value) {
    if (!value.empty()) throw InputError(flag, "--inference with it", "training");
  };
  needs("--prompt", options.prompt);
  needs("--output", options.output);
  needs("--concurrency", options.concurrency);
  needs("--batch", options.batch);
  needs("--max-ttft-ms", options.max_ttft_ms);
  needs("--max-tpot-ms", options.max_tpot_ms);
  if (options.engine != ServingOptions{}.engine) needs("--engine", options.engine);
}

int plan_serving(const ProblemOptions& given, const ServingOptions& serving,
                 const ServingOutput& output) {
  const profiles::DataFiles files = data_files(given);
  Question question = question_from(given, serving, files);
  planner::ServingSearch search;
  search.objective = objective_from(output.objective);
  search.max_ttft = limit_from(serving.max_ttft_ms, "--max-ttft-ms");
  search.max_tpot = limit_from(serving.max_tpot_ms, "--max-tpot-ms");
  search.demand = question.demand;
  search.top = count_flag(output.top, "--top");
  if (!output.fixed.empty()) search.fixed = planner::read_layout_text(output.fixed, "--fix");
  for (const std::string& key : search.fixed.given) {
    const std::vector<std::string> chosen = {"tp", "pp", "dp", "ep", "etp"};
    if (std::find(chosen.begin(), chosen.end(), key) == chosen.end()) {
      throw InputError("--fix", "tp, pp, dp, ep or etp with --inference", "'" + key + "'");
    }
  }
  std::optional<FrameworkFilter> filter;
  if (!output.runs_on.empty()) {
    filter.emplace(output.runs_on, files, question.problem);
    search.refusing_rule = filter->rule();
  }
  if (filter && serving.engine.empty()) {
    question.engine = profiles::load_engine(filter->framework().name, files);
    // One without a file of its own has the habits that most share.
    if (!question.engine.known) question.engine.name = "generic";
  } else {
    question.engine = engine_named(serving.engine, files);
  }
  const planner::ServingPlans found = search_inference(question.problem, question.engine, search);
  write(serving_json(question.problem, question.engine, found),
        serving_question_text(question.problem, question.engine) + "\n" +
            serving_plans_text(question.problem, found),
        output);
  return found.plans.empty() ? kAnswerIsNo : kDone;
}

int predict_serving(const ProblemOptions& given, const ServingOptions& serving,
                    const std::string& layout_text, const ServingOutput& output) {
  const profiles::DataFiles files = data_files(given);
  Question question = question_from(given, serving, files);
  question.engine = engine_named(serving.engine, files);
  if (layout_text.empty()) throw InputError("--layout", "a layout such as tp4,pp1,dp2", "nothing");
  const planner::Layout layout = planner::layout_from_text(layout_text, "--layout");
  const planner::Problem& problem = question.problem;
  for (const planner::Violation& broken :
       violations(layout, problem.model, problem.workload, problem.cluster.devices())) {
    if (broken.rule != planner::Rule::Devices) throw InputError("--layout", broken.what);
    std::fprintf(stderr, "meshplan: --layout: %s\n", broken.what.c_str());
    return kAnswerIsNo;
  }
  planner::StepPrices prices(problem, question.engine, layout);
  const Demand demand = question.demand.value_or(Demand{});
  planner::ServingPlans result;
  result.plans.push_back(
      {layout, demand, predict_inference(prices, problem, question.engine, layout, demand)});
  write(serving_json(problem, question.engine, result),
        serving_question_text(problem, question.engine) + "\n" +
            serving_plan_text(result.plans.front()),
        output);
  return result.plans.front().prediction.fits ? kDone : kAnswerIsNo;
}

}  // namespace meshplan::cli
