#include "planner/check/baseline.h"

#include <fmt/format.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "planner/evaluate/evaluate_runs.h"
#include "planner/layout/layout_text.h"
#include "planner/search/search.h"
#include "profiles/number_format.h"

namespace meshplan::planner {
namespace {

using nlohmann::ordered_json;
using profiles::JsonNode;
using profiles::Seconds;

std::optional<BestPlan> best_plan(const Question& question) {
  SearchOptions options;
  options.top = 1;
  options.fixed = question.fixed;
  options.mend_miss = false;
  const PlanResult found = search(question.problem, options);
  if (found.plans.empty()) return std::nullopt;
  const Plan& best = found.plans.front();
  return BestPlan{text(best.layout), best.prediction.step};
}

RunErrors errors_of(const EvaluatedRun& run) {
  RunErrors out;
  out.time = run.time_error;
  out.memory = run.memory_error;
  out.ran = !run.run->failed;
  // An illegal layout has no plan and is predicted not to run.
  if (!run.unpredictable) out.said_to_run = run.predicted_to_run;
  return out;
}

/// Six digits: what a reviewer can read, far below any tolerance.
double rounded(double value) { return std::strtod(fmt::format("{:.6g}", value).c_str(), nullptr); }

std::optional<double> error_at(const JsonNode& node, std::string_view key) {
  const auto value = node.find_value(key);
  if (!value) return std::nullopt;
  // Predicted and measured are positive.
  if (value->number() <= -1) value->refuse("an error above -1");
  return value->number();
}

RunErrors read_errors(const JsonNode& node) {
  node.refuse_unknown_keys({"time_error", "memory_error", "said_to_run", "ran"});
  RunErrors out;
  out.time = error_at(node, "time_error");
  out.memory = error_at(node, "memory_error");
  if (const auto said = node.find_value("said_to_run")) out.said_to_run = said->boolean();
  out.ran = node.at("ran").boolean();
  return out;
}

ordered_json errors_json(const RunErrors& errors) {
  ordered_json out = ordered_json::object();
  if (errors.time) out["time_error"] = rounded(*errors.time);
  if (errors.memory) out["memory_error"] = rounded(*errors.memory);
  if (errors.said_to_run) out["said_to_run"] = *errors.said_to_run;
  out["ran"] = errors.ran;
  return out;
}

}  // namespace

Baseline answers(const Suite& suite) {
  Baseline out;
  for (const Question& question : suite.questions) {
    out.questions[question.name] = best_plan(question);
  }
  for (const RecordedCases& cases : suite.recorded) {
    const RunsReport report = evaluate_runs(cases.runs);
    for (const EvaluatedRun& run : report.runs) {
      out.recorded[cases.name][run.run->id] = errors_of(run);
    }
  }
  return out;
}

Baseline read_baseline(const JsonNode& document) {
  document.require_schema("baseline");
  document.refuse_unknown_keys({"schema", "questions", "recorded"});
  Baseline out;
  for (const auto& [name, node] : document.at("questions").members()) {
    if (const auto fits = node.find_value("fits")) {
      node.refuse_unknown_keys({"fits"});
      if (fits->boolean()) fits->refuse("false, or a layout and step_seconds instead");
      out.questions[name] = std::nullopt;
      continue;
    }
    node.refuse_unknown_keys({"layout", "step_seconds", "fits"});
    const std::string layout = node.at("layout").string();
    (void)layout_from_text(layout, node.at("layout").where());
    out.questions[name] = BestPlan{layout, Seconds{node.at("step_seconds").positive_number()}};
  }
  for (const auto& [name, runs] : document.at("recorded").members()) {
    for (const auto& [id, node] : runs.members()) out.recorded[name][id] = read_errors(node);
  }
  return out;
}

std::string baseline_text(const Baseline& baseline) {
  ordered_json questions = ordered_json::object();
  for (const auto& [name, best] : baseline.questions) {
    questions[name] =
        best ? ordered_json{{"layout", best->layout}, {"step_seconds", rounded(best->step.count())}}
             : ordered_json{{"fits", false}};
  }
  ordered_json recorded = ordered_json::object();
  for (const auto& [name, runs] : baseline.recorded) {
    for (const auto& [id, errors] : runs) recorded[name][id] = errors_json(errors);
  }
  const ordered_json document = {
      {"schema", "meshplan.baseline/1"}, {"questions", questions}, {"recorded", recorded}};
  return document.dump(1) + "\n";
}

}  // namespace meshplan::planner
