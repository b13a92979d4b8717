#include "cli/serving_accuracy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/error_text.h"
#include "cli/table.h"
#include "profiles/number_format.h"

namespace meshplan::cli {
namespace {

using nlohmann::json;
using planner::EvaluatedServing;
using planner::ServingErrors;
using planner::ServingReport;

std::string percent(double fraction) { return fmt::format("{:.1f}%", 100 * fraction); }
std::string rank_text(const std::optional<double>& rank) {
  return rank ? fmt::format("{:.2f}", *rank) : "";
}

json errors_json(const ServingErrors& e) {
  return {{"runs", e.error.runs},
          {"predicted", e.error.predicted},
          {"mape", e.error.mape},
          {"mean", e.error.mape},
          {"median", e.error.median},
          {"p90", e.error.p90},
          {"p95", e.error.p95},
          {"bias", e.error.bias},
          {"coverage", e.coverage},
          {"interval_width", {{"mean", e.interval_width_mean}}},
          {"rank_correlation", {{"groups", e.ranked_groups}, {"mean", e.rank_correlation}}}};
}

json optional_json(const std::optional<double>& value) { return value ? json(*value) : json(); }

json run_json(const EvaluatedServing& run) {
  json out = {{"id", run.run->id}, {"layout", run.run->layout_text}};
  if (run.unpredictable) out["unpredictable"] = *run.unpredictable;
  const auto add = [&](const char* key, const std::optional<double>& measured, double predicted,
                       const planner::Range& range, const std::optional<double>& error) {
    if (measured && error) {
      out[key] = {{"measured", *measured},
                  {"predicted", predicted},
                  {"low", range.low},
                  {"high", range.high},
                  {"error", *error}};
    }
  };
  if (run.prediction) {
    const auto& service = run.prediction->service;
    const auto& ranges = run.prediction->intervals;
    add("ttft_seconds", run.run->ttft_seconds, service.ttft.count(), ranges.ttft_seconds,
        run.ttft_error);
    add("tpot_seconds", run.run->tpot_seconds, service.tpot.count(), ranges.tpot_seconds,
        run.tpot_error);
    add("tokens_per_second", run.run->tokens_per_second, run.prediction->tokens_per_second,
        ranges.tokens_per_second, run.throughput_error);
  }
  return out;
}

std::string line(const char* what, const ServingErrors& e) {
  if (e.error.runs == 0) return "";
  std::string out =
      fmt::format("{:<22}{} of {} predicted, mean error {}, median {}, p90 {}, bias {}", what,
                  e.error.predicted, e.error.runs, percent(e.error.mape), percent(e.error.median),
                  percent(e.error.p90), signed_percent(e.error.bias));
  if (e.ranked_groups > 0) {
    out += fmt::format(", rank correlation {:.3f} over {} groups", e.rank_correlation,
                       e.ranked_groups);
  }
  out += fmt::format("\n{:<22}{} of measurements inside, mean width {}", "  80% interval",
                     percent(e.coverage), percent(e.interval_width_mean));
  return out + "\n";
}

/// The error that is furthest from 1 as a ratio, and which quantity it is of.
std::pair<double, const char*> worst_of(const EvaluatedServing& run) {
  std::pair<double, const char*> out{0, ""};
  const std::pair<std::optional<double>, const char*> errors[] = {
      {run.ttft_error, "ttft"}, {run.tpot_error, "tpot"}, {run.throughput_error, "throughput"}};
  for (const auto& [error, name] : errors) {
    if (error && std::abs(std::log1p(*error)) > std::abs(std::log1p(out.first))) {
      out = {*error, name};
    }
  }
  return out;
}

}  // namespace

json serving_accuracy_json(const ServingReport& report) {
  json groups = json::array();
  for (const auto& group : report.groups) {
    groups.push_back({{"name", group.name},
                      {"runs", group.runs},
                      {"predicted", group.predicted},
                      {"tpot_mape", group.tpot_mape},
                      {"throughput_mape", group.throughput_mape},
                      {"ttft_rank_correlation", optional_json(group.ttft_rank)},
                      {"tpot_rank_correlation", optional_json(group.tpot_rank)},
                      {"throughput_rank_correlation", optional_json(group.throughput_rank)}});
  }
  json runs = json::array();
  for (const EvaluatedServing& run : report.runs) runs.push_back(run_json(run));
  return {{"ttft", errors_json(report.ttft)},
          {"tpot", errors_json(report.tpot)},
          {"throughput", errors_json(report.throughput)},
          {"unpredictable", report.unpredictable},
          {"unknown_engines", report.unknown_engines},
          {"serving_groups", groups},
          {"serving_runs", runs}};
}

std::string serving_accuracy_text(const ServingReport& report) {
  Table groups({{"layouts of", Table::Align::Left},
                {"runs"},
                {"TPOT error"},
                {"throughput error"},
                {"rank TTFT"},
                {"TPOT"},
                {"throughput"}});
  for (const auto& group : report.groups) {
    groups.add(
        {group.name, std::to_string(group.runs), group.tpot_rank ? percent(group.tpot_mape) : "",
         group.throughput_rank ? percent(group.throughput_mape) : "", rank_text(group.ttft_rank),
         rank_text(group.tpot_rank), rank_text(group.throughput_rank)});
  }
  std::vector<const EvaluatedServing*> worst;
  for (const EvaluatedServing& run : report.runs) {
    if (!run.unpredictable) worst.push_back(&run);
  }
  std::stable_sort(worst.begin(), worst.end(), [](const auto* a, const auto* b) {
    return std::abs(std::log1p(worst_of(*a).first)) > std::abs(std::log1p(worst_of(*b).first));
  });
  constexpr std::size_t kShown = 10;
  if (worst.size() > kShown) worst.resize(kShown);
  Table rows({{"worst runs", Table::Align::Left}, {"of", Table::Align::Left}, {"error"}});
  for (const EvaluatedServing* run : worst) {
    const auto [error, name] = worst_of(*run);
    rows.add({run->run->id, name, signed_percent(error)});
  }
  std::string out = groups.text() + "\n" + rows.text() + "\n";
  out += line("time to first token", report.ttft);
  out += line("time per output token", report.tpot);
  out += line("offline throughput", report.throughput);
  for (const auto& [reason, count] : report.unpredictable) {
    out += fmt::format("not predicted         {} x {}\n", count, reason);
  }
  return out;
}

double worst_mean_error(const ServingReport& report) {
  return std::max({report.ttft.error.mape, report.tpot.error.mape, report.throughput.error.mape});
}

}  // namespace meshplan::cli
