#include "cli/run_serving.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "cli/command.h"
#include "cli/flags.h"
#include "cli/run_place.h"
#include "cli/served_report.h"
#include "cli/terminal.h"
#include "kernels/cpu/kernels.h"
#include "planner/inference/serving_file.h"
#include "planner/inference/step_time.h"
#include "planner/layout/layout_text.h"
#include "planner/layout/legality.h"
#include "profiles/atomic_file.h"
#include "profiles/input_error.h"
#include "profiles/number_format.h"
#include "runtime/serve/serve_on_threads.h"

namespace meshplan::cli {
namespace {

using profiles::Bytes;
using profiles::InputError;
using profiles::Seconds;

/// Logits that differ by less come from other orders of the same sums; more is a wrong result.
constexpr double kSameLogit = 1e-4;
/// The check by one rank is left out where it would take longer than this.
constexpr Seconds kLongCheck{20};

struct Settings {
  std::optional<runtime::Mode> mode;
  std::optional<double> tolerance;
  int rounds = 5;
  Seconds timeout{60};
};

Settings settings_from(const RunOptions& options) {
  Settings out;
  if (options.mode == "parallel") out.mode = runtime::Mode::Parallel;
  if (options.mode == "replay") out.mode = runtime::Mode::Replay;
  if (!options.mode.empty() && !out.mode) {
    throw InputError("--mode", "parallel or replay, for ranks that serve",
                     "'" + options.mode + "'");
  }
  if (!options.tolerance.empty()) out.tolerance = fraction_flag(options.tolerance, "--tolerance");
  out.rounds = count_flag(options.steps, "--steps");
  if (out.rounds < 2) {
    throw InputError("--steps", "at least 2, because the first one does not count", "1");
  }
  out.timeout = Seconds{positive_flag(options.timeout, "--timeout")};
  return out;
}

struct Question {
  planner::Problem problem;
  profiles::Engine engine;
  planner::Layout layout;
  planner::Demand demand;
};

Question question_from(const RunOptions& options) {
  const profiles::DataFiles files(profiles::profile_directories(options.profiles));
  planner::ServingFile file =
      planner::read_serving(profiles::JsonNode::read_file(options.plan_file), files);
  const planner::ServingFile::Plan& plan =
      file.plans[plan_flag(options.plan_number, file.plans.size())];
  if (!file.profile_sha256.empty() && file.profile_sha256 != file.problem.profile.sha256) {
    std::fprintf(stderr, "meshplan: note: %s was made with another version of profile %s\n",
                 options.plan_file.c_str(), file.problem.profile.name.c_str());
  }
  Question out{std::move(file.problem), profiles::load_engine(file.engine, files), plan.layout,
               plan.demand};
  if (!out.engine.known) {
    (void)profiles::named_at(options.plan_file, "engine",
                             [&] { return files.at("engines", file.engine, "engine"); });
  }
  planner::Workload& w = out.problem.workload;
  if (plan.demand.kind == planner::Demand::Kind::Batch) w.batch = plan.demand.count;
  if (plan.demand.kind == planner::Demand::Kind::Users) w.concurrency = plan.demand.count;
  const auto broken = planner::violations(out.layout, out.problem.model, w, out.layout.devices());
  if (!broken.empty()) throw InputError(options.plan_file, broken.front().what);
  if (plan.demand.kind != planner::Demand::Kind::Most && plan.demand.count % out.layout.dp != 0) {
    throw InputError(options.plan_file,
                     "requests that " + std::to_string(out.layout.dp) + " replicas share evenly",
                     std::to_string(plan.demand.count));
  }
  return out;
}

runtime::Serving serving_of(const Question& question, int rounds) {
  runtime::Serving out;
  out.model = question.problem.model;
  out.data_type = question.problem.workload.data_type;
  out.layout = question.layout;
  out.schedule = planner::serving_schedule(question.problem, question.engine, question.layout,
                                           question.demand);
  out.rounds = rounds;
  return out;
}

/// What each stage holds: the engine's rule, but the buffers of the fullest micro-batch that comes,
/// and the cache of the slots that are used.
std::vector<planner::ServingMemory> memory_for(const Question& question,
                                               const runtime::Serving& serving) {
  profiles::Engine exact = question.engine;
  exact.max_batched_tokens = exact.max_sequences = 1;
  for (const planner::ServingStep& step : serving.schedule.steps) {
    for (const auto& work : runtime::microbatches(step.work, serving.layout.pp)) {
      int tokens = 0;
      for (const planner::RequestWork& w : work) tokens += w.tokens;
      exact.max_batched_tokens = std::max(exact.max_batched_tokens, tokens);
      exact.max_sequences = std::max(exact.max_sequences, static_cast<int>(work.size()));
    }
  }
  const runtime::SlotPlan slots = runtime::slot_plan(serving.schedule);
  auto memory = planner::serving_memory(question.problem, exact, question.layout);
  for (planner::ServingMemory& stage : memory) {
    stage.cache = slots.slots * slots.capacity * stage.cache_per_token;
  }
  return memory;
}

Bytes held(const planner::ServingMemory& stage) { return stage.weights + stage.cache + stage.step; }

Bytes memory_of_all_ranks(const planner::Layout& layout,
                          const std::vector<planner::ServingMemory>& stages) {
  Bytes sum{};
  for (const planner::ServingMemory& stage : stages) {
    sum += std::int64_t{layout.devices() / layout.pp} * held(stage);
  }
  return sum;
}

/// Why the plan cannot be served there; none if it can.
std::optional<std::string> obstacle(const Place& place, const planner::Layout& layout,
                                    const std::vector<planner::ServingMemory>& stages,
                                    runtime::Mode mode) {
  if (mode == runtime::Mode::Parallel && layout.devices() > place.most_at_once) {
    return std::to_string(layout.devices()) + " ranks that serve at once, but this machine has " +
           std::to_string(place.most_at_once) + (place.engine == nullptr ? " cores" : " GPUs") +
           "; --mode replay runs them one after the other";
  }
  Bytes needed = memory_of_all_ranks(layout, stages);
  if (place.engine != nullptr && mode == runtime::Mode::Parallel) {
    needed = {};
    for (const planner::ServingMemory& stage : stages) needed = std::max(needed, held(stage));
  }
  if (needed <= place.available) return std::nullopt;
  return "the ranks need " + profiles::human(needed) + ", but this machine has " +
         profiles::human(place.available) + " free";
}

std::vector<runtime::ServedRank> served(const Place& place, const runtime::Serving& serving,
                                        runtime::Mode mode, Seconds timeout) {
  const runtime::InProcessOptions options{
      .timeout = timeout, .take_turns = mode == runtime::Mode::Replay, .in_words = {}};
  return place.engine == nullptr ? runtime::serve_on_threads(serving, options)
                                 : runtime::serve_on_engine(*place.engine, serving, options);
}

bool one_batch(const Question& question) {
  return question.demand.kind == planner::Demand::Kind::Batch;
}

std::vector<planner::StepTime> prices_of(const Question& question, const planner::Layout& layout,
                                         const planner::ServingSchedule& schedule) {
  planner::StepPrices prices(question.problem, question.engine, layout);
  std::vector<planner::StepTime> out;
  for (const planner::ServingStep& step : schedule.steps) out.push_back(prices.time(step.totals));
  // As the prediction has it (predict_inference).
  if (one_batch(question)) out.front().pipeline += out.front().fill;
  return out;
}

/// The same requests on one rank, replica after replica; none where that would take too long or too
/// much memory.
std::optional<runtime::AnswerComparison> one_rank_check(
    const Question& question, const runtime::Serving& serving,
    const std::vector<std::vector<runtime::GeneratedToken>>& answers, const Place& place,
    Seconds timeout) {
  Question alone = question;
  alone.layout = {};
  runtime::Serving one = serving;
  one.layout = alone.layout;
  one.rounds = 1;
  Seconds longest{0};
  for (const auto& step : prices_of(question, alone.layout, serving.schedule)) {
    longest += serving.layout.dp * step.sum();
  }
  if (longest > kLongCheck ||
      obstacle(place, alone.layout, memory_for(alone, one), runtime::Mode::Parallel)) {
    return std::nullopt;
  }
  std::vector<std::vector<runtime::GeneratedToken>> expected;
  for (one.first_replica = 0; one.first_replica < serving.layout.dp; ++one.first_replica) {
    for (auto& answer : answers_of(one, served(place, one, runtime::Mode::Parallel, timeout))) {
      expected.push_back(std::move(answer));
    }
  }
  return runtime::compare_answers(expected, answers, kSameLogit);
}

/// Writes and prints what was measured; the exit code.
int answer(const RunOptions& options, const Settings& settings, const Question& question,
           const ServedReport& report) {
  if (!options.out.empty()) {
    profiles::write_atomically(
        options.out, served_json(question.problem, question.engine, report, true).dump(1) + "\n");
  }
  const std::string text =
      options.as_json ? served_json(question.problem, question.engine, report, false).dump(1) + "\n"
                      : served_text(question.problem, question.engine, report);
  std::fputs(text.c_str(), stdout);
  if (report.check && report.check->difference) {
    std::fprintf(stderr, "meshplan: the tokens are not those of one rank: %s\n",
                 difference_text(*report.check->difference).c_str());
    return kBug;
  }
  if (settings.tolerance && std::abs(report.error()) > *settings.tolerance) {
    std::fprintf(
        stderr,
        "meshplan: the error of %.1f%% in the time of all requests is beyond the tolerance "
        "of %.1f%%\n",
        100 * report.error(), 100 * *settings.tolerance);
    return kAnswerIsNo;
  }
  return kDone;
}

}  // namespace

int run_serving(runtime::Engine* engine, const RunOptions& options) {
  const Settings settings = settings_from(options);
  profiles::require_writable_file(options.out);
  profiles::require_writable_file(options.trace);
  const Question question = question_from(options);
  const planner::Problem& problem = question.problem;
  if (engine == nullptr && problem.workload.data_type != profiles::DataType::Fp32) {
    throw InputError(options.plan_file,
                     "cores serve fp32 only, found " +
                         std::string(profiles::name(problem.workload.data_type)) +
                         " (--backend cuda serves bf16)");
  }
  planner::StepPrices prices(problem, question.engine, question.layout);
  const planner::InferencePrediction predicted =
      predict_inference(prices, problem, question.engine, question.layout, question.demand);
  if (!predicted.fits) {
    std::fprintf(stderr, "meshplan: no room for the cache of one request\n");
    return kAnswerIsNo;
  }
  const runtime::Serving serving = serving_of(question, settings.rounds);
  runtime::refuse_unsupported(serving);
  ServedReport report;
  report.layout = question.layout;
  report.demand = question.demand;
  report.schedule = serving.schedule;
  report.predicted = predicted.service;
  report.prices = prices_of(question, question.layout, serving.schedule);
  report.predicted_memory = memory_for(question, serving);
  const Place place = place_of(engine);
  const bool enough = question.layout.devices() <= place.most_at_once;
  const runtime::Mode mode =
      settings.mode.value_or(enough ? runtime::Mode::Parallel : runtime::Mode::Replay);
  if (const auto reason = obstacle(place, question.layout, report.predicted_memory, mode)) {
    std::fprintf(stderr, "meshplan: %s\n", reason->c_str());
    return kAnswerIsNo;
  }
  report.device = engine == nullptr ? "cpu: " + std::string(kernels::cpu::gemm_library())
                                    : engine->devices().front().name + ", " + engine->description();
  {
    Progress progress;
    progress.show("serving " + std::to_string(settings.rounds) + " rounds of about " +
                  profiles::human(report.predicted.duration));
    const std::vector<runtime::ServedRank> ranks = served(place, serving, mode, settings.timeout);
    report.measured =
        mode == runtime::Mode::Parallel
            ? runtime::serving_measurement(serving, ranks, 1)
            : runtime::replayed_serving(serving, ranks, 1, report.prices, one_batch(question));
    report.answers = runtime::answers_of(serving, ranks);
    if (!options.trace.empty()) {
      std::ostringstream text;
      runtime::write_serving_trace(text, serving, ranks);
      profiles::write_atomically(options.trace, text.str());
    }
    if (!options.no_check && question.layout.devices() > 1) {
      progress.show("checking the tokens on one rank");
      report.check = one_rank_check(question, serving, report.answers, place, settings.timeout);
    }
  }
  return answer(options, settings, question, report);
}

}  // namespace meshplan::cli
