#include <CLI/App.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "cli/command.h"
#include "cli/launched_run.h"
#include "cli/problem_options.h"
#include "cli/run_place.h"
#include "cli/run_question.h"
#include "cli/run_report.h"
#include "cli/run_serving.h"
#include "cli/terminal.h"
#include "planner/inference/serving_file.h"
#include "planner/layout/layout_text.h"
#include "planner/layout/rank_place.h"
#include "planner/predict.h"
#include "planner/simulate/trace.h"
#include "profiles/atomic_file.h"
#include "profiles/input_error.h"
#include "profiles/number_format.h"
#include "runtime/device/engine.h"
#include "runtime/execute/run_on_engine.h"
#include "runtime/execute/run_on_threads.h"
#include "runtime/measure/measure.h"
#include "runtime/measure/measure_engine.h"
#include "runtime/measure/measurement_json.h"
#include "runtime/measure/replay.h"

namespace meshplan::cli {
namespace {

using profiles::Bytes;
using profiles::InputError;
using profiles::Seconds;

/// Another rounding of the same sums; more is a wrong result.
constexpr double kSameLoss = 1e-4;
/// The check by one rank is left out where it would take longer than this.
constexpr Seconds kLongCheck{20};

runtime::Measured measured(const Place& place, const runtime::Training& training,
                           const planner::ScheduleCosts& costs, runtime::Mode mode,
                           const runtime::MeasureOptions& options) {
  if (place.engine == nullptr) {
    return mode == runtime::Mode::Parallel ? runtime::measure_parallel(training, options)
                                           : runtime::measure_replay(training, costs, options);
  }
  return mode == runtime::Mode::Replay
             ? measure_replay_on_engine(*place.engine, training, costs, options)
             : measure_on_engine(*place.engine, training, mode, options);
}

/// The first step on one rank, held against `loss`, the first loss of all ranks; none where either
/// would take too long (also for ranks that wait for it) or too much memory.
std::optional<OneRankCheck> one_rank_check(const RunQuestion& question,
                                           const std::function<double()>& loss, const Place& place,
                                           Seconds timeout) {
  RunQuestion alone{question.problem, {}, {}};
  alone.layout.mbs = question.layout.mbs;
  planner::PriceBook book(alone.problem);
  const planner::PreparedLayout prepared = prepare(book, alone.layout);
  const Seconds step = planner::simulate_step(prepared.schedule, prepared.costs).step;
  if (step > std::min(kLongCheck, timeout / 4) ||
      memory_of_all_ranks(alone.layout, prepared.memory) > place.available) {
    return std::nullopt;
  }
  const runtime::Training training = training_of(alone, prepared.schedule, 1);
  const auto ranks =
      place.engine == nullptr
          ? runtime::run_on_threads(training,
                                    {.timeout = timeout, .take_turns = false, .in_words = {}})
          : runtime::run_on_engine(*place.engine, training, runtime::Seating::Replay, timeout);
  const double own = ranks.front().losses.front();
  return OneRankCheck{own, std::abs(loss() / own - 1)};
}

/// The timeline of one pipeline, rank = stage, as predictions are drawn.
planner::Timeline one_pipeline(const planner::Timeline& timeline, const planner::Layout& layout) {
  if (timeline.ranks == layout.pp) return timeline;
  planner::Timeline out;
  out.ranks = layout.pp;
  out.steps = timeline.steps;
  for (int stage = 0; stage < layout.pp; ++stage) {
    const int rank = planner::rank_of(layout, {.pp = stage});
    for (planner::Span span : timeline.spans) {
      if (span.rank != rank) continue;
      span.rank = stage;
      out.spans.push_back(span);
    }
  }
  for (int step = 0; step <= timeline.steps && !timeline.step_starts.empty(); ++step) {
    for (int stage = 0; stage < layout.pp; ++stage) {
      const int rank = planner::rank_of(layout, {.pp = stage});
      out.step_starts.push_back(
          timeline.step_starts[static_cast<std::size_t>(step * timeline.ranks + rank)]);
    }
  }
  return out;
}

/// Writes and prints what was measured; the exit code.
int answer(const RunOptions& options, const RunSettings& settings, const RunQuestion& question,
           const planner::Schedule& schedule, const RunReport& report,
           const planner::Timeline& timeline) {
  if (!options.out.empty()) {
    profiles::write_atomically(options.out,
                               runtime::measurement_text(report.measured, question.plan));
  }
  if (!options.trace.empty()) {
    std::ostringstream text;
    write_trace(text, schedule, one_pipeline(timeline, question.layout));
    profiles::write_atomically(options.trace, text.str());
  }
  const std::string answer = options.as_json ? run_json(question.problem, report).dump(1) + "\n"
                                             : run_text(question.problem, report);
  std::fputs(answer.c_str(), stdout);
  if (report.check && !(report.check->relative_difference <= kSameLoss)) {
    std::fprintf(stderr, "meshplan: the first loss is not that of one rank\n");
    return kBug;
  }
  if (settings.tolerance && std::abs(report.error()) > *settings.tolerance) {
    std::fprintf(stderr, "meshplan: the step's error of %.1f%% is beyond the tolerance of %.1f%%\n",
                 100 * report.error(), 100 * *settings.tolerance);
    return kAnswerIsNo;
  }
  return kDone;
}

/// Of --backend; none: cores.
runtime::Engine* engine_of(const RunOptions& options) {
  if (options.backend == "cpu") return nullptr;
  if (options.backend == "cuda") return &runtime::load_engine();
  throw InputError("--backend", "cpu or cuda", "'" + options.backend + "'");
}

int run_on(runtime::Engine* engine, const RunOptions& options) {
  const RunSettings settings = settings_from(options);
  profiles::require_writable_file(options.out);
  profiles::require_writable_file(options.trace);
  const RunQuestion question = question_from(options);
  planner::PriceBook book(question.problem);
  refuse_unrunnable(question, options, engine == nullptr);
  const planner::PreparedLayout prepared = prepare(book, question.layout);
  const runtime::Training training = training_of(question, prepared.schedule, settings.steps);
  runtime::refuse_unsupported(training);

  const Place place = place_of(engine);
  const bool enough = question.layout.devices() <= place.most_at_once;
  const runtime::Mode mode =
      settings.mode.value_or(enough ? runtime::Mode::Parallel : runtime::Mode::Replay);
  if (const auto reason = obstacle(question.layout, prepared.memory, mode, place)) {
    std::fprintf(stderr, "meshplan: %s\n", reason->c_str());
    return kAnswerIsNo;
  }
  runtime::MeasureOptions measure;
  measure.timeout = settings.timeout;
  measure.at_once = place.most_at_once;
  RunReport report{question.layout,
                   planner::simulate_step(prepared.schedule, prepared.costs),
                   prepared.memory,
                   {},
                   {},
                   settings.steps};
  planner::Timeline timeline;
  {
    Progress progress;
    progress.show("running " + std::to_string(settings.steps) + " steps of about " +
                  profiles::human(report.predicted.step));
    runtime::Measured result = measured(place, training, prepared.costs, mode, measure);
    report.measured = std::move(result.measurement);
    timeline = std::move(result.timeline);
    if (!options.no_check && question.layout.devices() > 1 &&
        memory_of_all_ranks(question.layout, prepared.memory) <= place.available) {
      progress.show("checking the first loss on one rank");
      const auto first_loss = [&] {
        std::vector<double>& losses = report.measured.losses;
        if (losses.empty()) {
          runtime::Training one_step = training;
          one_step.options.steps = 1;
          losses = engine == nullptr
                       ? runtime::replayed_losses(one_step, settings.timeout)
                       : runtime::replayed_losses(*engine, one_step, settings.timeout);
        }
        return losses.front();
      };
      report.check = one_rank_check(question, first_loss, place, settings.timeout);
    }
  }
  return answer(options, settings, question, prepared.schedule, report, timeline);
}

/// Ranks are processes that a launcher has started, and this is one of them.
int run_as(const runtime::Launch& launch, const RunOptions& options) {
  try {
    const RunSettings settings = settings_from(options);
    if (settings.mode.value_or(runtime::Mode::Parallel) != runtime::Mode::Parallel) {
      throw InputError("--mode", "parallel, for ranks that a launcher has started",
                       "'" + options.mode + "'");
    }
    runtime::Engine* const engine = engine_of(options);
    LaunchedRank rank{launch, engine, 0, [] { return std::nullopt; }};
    if (engine != nullptr) {
      rank.ordinal = device_of(launch, static_cast<int>(engine->devices().size()));
    }
    const RunQuestion question = question_from(options);
    planner::PriceBook book(question.problem);
    refuse_unrunnable(question, options, engine == nullptr);
    const planner::PreparedLayout prepared = prepare(book, question.layout);
    const runtime::Training training = training_of(question, prepared.schedule, settings.steps);
    runtime::refuse_unsupported(training);
    if (engine != nullptr) {
      rank.obstacle = [&]() -> std::optional<std::string> {
        const int stage = planner::place_of(question.layout, launch.rank).pp;
        return too_little(prepared.memory[static_cast<std::size_t>(stage)].allocated(),
                          engine->free_memory(rank.ordinal));
      };
    }
    const auto report = [&](runtime::Measurement measured) {
      RunReport out{question.layout, planner::simulate_step(prepared.schedule, prepared.costs),
                    prepared.memory, std::move(measured),
                    std::nullopt,    settings.steps};
      if (!options.no_check) {
        const auto loss = [&] { return out.measured.losses.front(); };
        out.check = one_rank_check(question, loss, place_of(engine), settings.timeout);
      }
      return out;
    };
    runtime::MeasureOptions measure;
    measure.timeout = settings.timeout;
    return run_launched(rank, training, measure, [&](runtime::Measured measured) {
      try {
        return answer(options, settings, question, prepared.schedule,
                      report(std::move(measured.measurement)), measured.timeline);
      } catch (const InputError& error) {  // a file that cannot be written
        say_failure(error);
        return static_cast<int>(kBadInput);
      }
    });
  } catch (const InputError& error) {
    return refuse_as_one(launch, error.what(), kBadInput);
  } catch (const runtime::EngineFailure& failure) {
    return refuse_as_one(launch, failure.what(), kDeviceFailure);
  } catch (const runtime::RankFailure&) {  // one rank of each machine has said it
    std::fflush(nullptr);
    std::_Exit(kDeviceFailure);
  }
}

int run(const RunOptions& options) {
  if (const auto launch = runtime::launch_from(runtime::environment_variable)) {
    return run_as(*launch, options);
  }
  try {
    const bool serves = planner::is_serving(profiles::JsonNode::read_file(options.plan_file));
    runtime::Engine* const engine = engine_of(options);
    return serves ? run_serving(engine, options) : run_on(engine, options);
  } catch (const runtime::EngineFailure& failure) {
    std::fprintf(stderr, "meshplan: %s\n", failure.what());
    return kDeviceFailure;
  } catch (const runtime::RankFailure& failure) {
    std::string words = failure.what();
    for (char& c : words) {
      if (c == '\n') c = ' ';
    }
    std::fprintf(stderr, "meshplan: %s\n", words.c_str());
    std::fflush(nullptr);
    // A rank that stalls still runs on its thread and cannot be stopped.
    std::_Exit(kDeviceFailure);
  }
}

}  // namespace

void add_run(CLI::App& app, Action& action) {
  auto* command =
      app.add_subcommand("run", "Executes a plan: predicted beside measured, term by term");
  auto options = std::make_shared<RunOptions>();
  const auto add = [&](const char* flag, std::string& target, const char* help, const char* type) {
    return command->add_option(flag, target, help)->type_name(type);
  };
  add("plan", options->plan_file,
      "what plan or predict wrote with --out, of training or --inference", "plan.json")
      ->required();
  add("--plan", options->plan_number, "which plan of the file, counted from 0 (0)", "N");
  add("--backend", options->backend, "cpu or cuda (cpu)", "B");
  add("--mode", options->mode,
      "parallel: all ranks at once; replay: one after the other, communication modelled; "
      "partitioned: 2, 4 or 8 ranks on parts of one GPU (parallel if there are cores or GPUs "
      "enough)",
      "M");
  add("--steps", options->steps,
      "steps to run, or times to serve the load; the first does not count (5)", "N");
  add("--tolerance", options->tolerance,
      "exit 1 when the time of a step, or of the load, is further off, e.g. 10%", "X");
  add("--timeout", options->timeout, "seconds that a rank may wait or be silent (60)", "S");
  add("--out", options->out, "write what was measured", "FILE");
  add("--trace", options->trace, "write the measured timeline as Chrome trace events", "FILE");
  add("--profiles", options->profiles, "directory with presets and profiles of your own", "DIR");
  command->add_flag("--json", options->as_json, "one JSON document on standard output");
  command->add_flag("--no-check", options->no_check,
                    "do not repeat the first step, or the load, on one rank");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace meshplan::cli
