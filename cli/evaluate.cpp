#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/error_text.h"
#include "cli/flags.h"
#include "cli/serving_accuracy.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "planner/evaluate/evaluate_runs.h"
#include "planner/evaluate/evaluate_tables.h"
#include "planner/evaluate/runs.h"
#include "planner/evaluate/split.h"
#include "planner/simulate/named_term.h"
#include "profiles/cluster_json.h"
#include "profiles/data_files.h"
#include "profiles/input_error.h"
#include "profiles/number_format.h"

namespace meshplan::cli {
namespace {

using nlohmann::json;
using planner::ErrorSummary;
using planner::EvaluatedRun;
using planner::RunsReport;
using profiles::human;

struct Options {
  std::vector<std::string> files;
  std::string max_error, half, profiles, clusters;
  bool unseen = false, as_json = false;
};

std::string percent(double fraction) { return fmt::format("{:.1f}%", 100 * fraction); }
json summary_json(const ErrorSummary& s) {
  return {{"runs", s.runs},     {"predicted", s.predicted},
          {"mape", s.mape},     {"mean", s.mape},
          {"median", s.median}, {"p90", s.p90},
          {"p95", s.p95},       {"bias", s.bias}};
}

json terms_json(const planner::Terms& terms) {
  json out;
  for (const planner::NamedTerm& term : planner::kTerms) {
    out[std::string(term.key)] = (terms.*term.value).count();
  }
  return out;
}

json run_json(const EvaluatedRun& run) {
  json out = {{"id", run.run->id}, {"layout", run.run->layout_text}};
  if (run.run->step) out["measured_seconds"] = run.run->step->count();
  if (run.plan) {
    const auto& p = run.plan->prediction;
    out["predicted_seconds"] = p.step.count();
    out["predicted_low_seconds"] = p.step_low.count();
    out["predicted_high_seconds"] = p.step_high.count();
    out["fits"] = run.plan->fits;
    out["time"] = terms_json(p.terms);
  }
  if (run.time_error) out["error"] = *run.time_error;
  if (run.run->peak_memory) out["measured_memory_bytes"] = run.run->peak_memory->count;
  if (run.memory_error) {
    out["predicted_memory_bytes"] = run.predicted_memory.count;
    out["memory_error"] = *run.memory_error;
  }
  if (run.run->failed) out["outcome"] = "failed";
  if (run.unpredictable) out["unpredictable"] = *run.unpredictable;
  if (!run.suspect.empty()) out["suspect"] = run.suspect;
  if (!run.run->assumed.empty()) out["assumed"] = run.run->assumed;
  return out;
}

json pairs_json(const std::vector<planner::PairsApart>& pairs) {
  json out = json::array();
  for (const planner::PairsApart& apart : pairs) {
    if (apart.pairs == 0) continue;
    const double count = apart.pairs;
    out.push_back({{"gap_low", apart.low},
                   {"gap_high", apart.high ? json(*apart.high) : json()},
                   {"pairs", apart.pairs},
                   {"right", apart.right / count},
                   {"expected", apart.expected / count}});
  }
  return out;
}

json report_json(const RunsReport& report) {
  json groups = json::array();
  for (const auto& group : report.groups) {
    json entry = {{"name", group.name},
                  {"runs", group.runs},
                  {"predicted", group.predicted},
                  {"mape", group.time.mape},
                  {"bias", group.time.bias}};
    entry["rank_correlation"] = group.rank_correlation ? json(*group.rank_correlation) : json();
    entry["regret"] = group.regret ? json(*group.regret) : json();
    groups.push_back(entry);
  }
  json runs = json::array();
  for (const EvaluatedRun& run : report.runs) runs.push_back(run_json(run));
  return {{"time", summary_json(report.time)},
          {"time_competitive", summary_json(report.time_competitive)},
          {"memory", summary_json(report.memory)},
          {"regret",
           {{"groups", report.regret.groups},
            {"mean", report.regret.mean},
            {"max", report.regret.max}}},
          {"rank_correlation",
           {{"groups", report.ranked_groups}, {"mean", report.mean_rank_correlation}}},
          {"feasibility",
           {{"runs", report.feasibility.runs},
            {"accuracy", report.feasibility.accuracy},
            {"false_fit", report.feasibility.false_fit},
            {"false_oom", report.feasibility.false_oom}}},
          {"pairs", pairs_json(report.pairs)},
          {"coverage", report.coverage},
          {"interval_width", {{"mean", report.interval_width_mean}}},
          {"unpredictable", report.unpredictable},
          {"unknown_frameworks", report.unknown_frameworks},
          {"groups", groups},
          {"runs", runs}};
}

std::string summary_line(const char* what, const ErrorSummary& s) {
  if (s.runs == 0) return "";
  return fmt::format(
      "{:<22}{} of {} predicted, mean error {}, median {}, p90 {}, p95 {}, bias {}\n", what,
      s.predicted, s.runs, percent(s.mape), percent(s.median), percent(s.p90), percent(s.p95),
      signed_percent(s.bias));
}

/// How often the layout predicted faster ran faster, beside how often `plan` says it would.
std::string pairs_text(const std::vector<planner::PairsApart>& pairs) {
  Table table({{"pairs of layouts predicted apart by", Table::Align::Left},
               {"pairs"},
               {"order right"},
               {"expected"}});
  bool any = false;
  for (const planner::PairsApart& apart : pairs) {
    if (apart.pairs == 0) continue;
    any = true;
    const std::string gap =
        apart.high ? fmt::format("{:.0f} to {:.0f}%", 100 * apart.low, 100 * *apart.high)
                   : fmt::format("more than {:.0f}%", 100 * apart.low);
    table.add({gap, std::to_string(apart.pairs),
               percent(static_cast<double>(apart.right) / apart.pairs),
               percent(apart.expected / apart.pairs)});
  }
  return any ? table.text() + "\n" : "";
}

std::string report_text(const RunsReport& report) {
  Table groups({{"group", Table::Align::Left},
                {"runs"},
                {"predicted"},
                {"mean error"},
                {"bias"},
                {"rank corr."},
                {"regret"}});
  for (const auto& group : report.groups) {
    groups.add({group.name, std::to_string(group.runs), std::to_string(group.predicted),
                percent(group.time.mape), signed_percent(group.time.bias),
                group.rank_correlation ? fmt::format("{:.3f}", *group.rank_correlation) : "",
                group.regret ? percent(*group.regret) : ""});
  }
  std::string out = groups.text() + "\n";

  std::vector<const EvaluatedRun*> worst;
  for (const EvaluatedRun& run : report.runs) {
    if (run.time_error) worst.push_back(&run);
  }
  std::stable_sort(worst.begin(), worst.end(), [](const auto* a, const auto* b) {
    return std::abs(std::log1p(*a->time_error)) > std::abs(std::log1p(*b->time_error));
  });
  constexpr std::size_t kShown = 10;
  if (worst.size() > kShown) worst.resize(kShown);
  Table rows({{"worst runs", Table::Align::Left},
              {"measured"},
              {"predicted"},
              {"error"},
              {"suspect", Table::Align::Left}});
  for (const EvaluatedRun* run : worst) {
    rows.add({run->run->id, human(*run->run->step), human(run->plan->prediction.step),
              signed_percent(*run->time_error), run->suspect});
  }
  if (!worst.empty()) out += rows.text() + "\n";
  out += pairs_text(report.pairs);

  out += summary_line("step time", report.time);
  out += summary_line("  competitive layouts", report.time_competitive);
  out += summary_line("peak memory", report.memory);
  if (report.regret.groups > 0) {
    out +=
        fmt::format("{:<22}mean {}, worst {} over {} groups\n", "regret",
                    percent(report.regret.mean), percent(report.regret.max), report.regret.groups);
  }
  if (report.ranked_groups > 0) {
    out += fmt::format("{:<22}{:.3f} mean over {} groups (Spearman)\n", "rank correlation",
                       report.mean_rank_correlation, report.ranked_groups);
  }
  if (report.feasibility.runs > 0) {
    out += fmt::format("{:<22}{} right of {}; {} said to fit failed, {} said not to fit ran\n",
                       "fits or not", percent(report.feasibility.accuracy), report.feasibility.runs,
                       report.feasibility.false_fit, report.feasibility.false_oom);
  }
  if (report.time.predicted > 0) {
    out += fmt::format("{:<22}{} of measurements inside, mean width {}\n", "80% interval",
                       percent(report.coverage), percent(report.interval_width_mean));
  }
  for (const auto& [reason, count] : report.unpredictable) {
    out += fmt::format("not predicted         {} x {}\n", count, reason);
  }
  std::map<std::string, int> assumed;
  for (const EvaluatedRun& run : report.runs) {
    for (const std::string& what : run.run->assumed) ++assumed[what];
  }
  for (const auto& [what, count] : assumed) {
    out += fmt::format("assumed               {} x {}\n", count, what);
  }
  return out;
}

planner::Half half_from(const std::string& text) {
  if (text.empty()) return planner::Half::Both;
  if (text == "fitted") return planner::Half::Fitted;
  if (text == "held") return planner::Half::Held;
  throw profiles::InputError("--half", "fitted or held", "'" + text + "'");
}

json tables_json(const planner::TablesReport& report) {
  json groups = json::array();
  for (const auto& group : report.groups) {
    json entry = summary_json(group.time);
    entry["name"] = group.name;
    groups.push_back(entry);
  }
  json worst = json::array();
  for (const planner::EvaluatedRow& row : report.worst) {
    worst.push_back({{"row", row.where},
                     {"measured_seconds", row.measured.count()},
                     {"predicted_seconds", row.predicted.count()},
                     {"error", row.error()}});
  }
  return {{"time", summary_json(report.time)},
          {"unpredictable", report.unpredictable},
          {"groups", groups},
          {"worst", worst}};
}

std::string tables_text(const planner::TablesReport& report) {
  Table groups({{"table", Table::Align::Left},
                {"rows"},
                {"mean error"},
                {"median"},
                {"p90"},
                {"p95"},
                {"bias"}});
  for (const auto& group : report.groups) {
    const ErrorSummary& e = group.time;
    groups.add({group.name, std::to_string(e.runs), percent(e.mape), percent(e.median),
                percent(e.p90), percent(e.p95), signed_percent(e.bias)});
  }
  Table worst({{"worst rows", Table::Align::Left}, {"measured"}, {"predicted"}, {"error"}});
  for (const planner::EvaluatedRow& row : report.worst) {
    worst.add({row.where, human(row.measured), human(row.predicted), signed_percent(row.error())});
  }
  std::string out = groups.text() + "\n" + worst.text() + "\n";
  out += summary_line("all rows", report.time);
  for (const auto& [reason, count] : report.unpredictable) {
    out += fmt::format("not predicted         {} x {}\n", count, reason);
  }
  return out;
}

profiles::ClusterTable clusters_from(const std::string& path, const profiles::DataFiles& files) {
  if (path.empty()) return {};
  const auto document = profiles::JsonNode::read_file(path);
  document.require_schema("clusters");
  return profiles::read_cluster_table(document.at("clusters"), files);
}

int run(const Options& options) {
  const profiles::DataFiles files(profiles::profile_directories(options.profiles));
  const double limit =
      options.max_error.empty() ? 0 : fraction_flag(options.max_error, "--max-error");
  const planner::Half half = half_from(options.half);
  std::vector<std::string> tables;
  std::vector<planner::RecordedRun> runs;
  for (const std::string& file : options.files) {
    if (file.ends_with(".csv")) {
      tables.push_back(file);
      continue;
    }
    auto more = planner::read_runs(profiles::JsonNode::read_file(file), files);
    std::move(more.begin(), more.end(), std::back_inserter(runs));
  }
  std::erase_if(runs, [&](const planner::RecordedRun& run) {
    return !planner::holds(half, planner::is_fitted(run.source, run.model_name));
  });
  // One half of a file may be empty, all of it not.
  const bool may_be_empty = half != planner::Half::Both;
  if (runs.empty() && tables.empty() && !may_be_empty) {
    throw profiles::InputError(options.files.front(), "recorded runs", "none");
  }
  json document;
  std::string text;
  double worst_mean = 0;
  std::vector<const planner::RecordedRun*> serving;
  std::vector<planner::RecordedRun> training;
  for (planner::RecordedRun& run : runs) {
    if (run.problem.workload.kind == planner::Workload::Kind::Inference) {
      serving.push_back(&run);
    } else {
      training.push_back(std::move(run));
    }
  }
  if (tables.size() < options.files.size()) {
    Progress progress;
    const RunsReport report = planner::evaluate_runs(training, [&](int done) {
      progress.show(fmt::format("{} of {} runs", done, training.size()));
    });
    document = report_json(report);
    if (!training.empty() || serving.empty()) text = report_text(report);
    worst_mean = report.time.mape;
  }
  if (!serving.empty()) {
    const planner::ServingReport report = planner::evaluate_inference(serving);
    json accuracy = serving_accuracy_json(report);
    for (const auto& [reason, count] : report.unpredictable) {
      accuracy["unpredictable"][reason] = count + document["unpredictable"].value(reason, 0);
    }
    document.merge_patch(accuracy);
    text += (text.empty() ? "" : "\n") + serving_accuracy_text(report);
    worst_mean = std::max(worst_mean, worst_mean_error(report));
  }
  if (!tables.empty()) {
    const planner::TablesReport report = planner::evaluate_tables(
        tables, {half, options.unseen}, clusters_from(options.clusters, files), files);
    if (runs.empty() && report.groups.empty() && report.unpredictable.empty() && !may_be_empty) {
      throw profiles::InputError(tables.front(), "rows", "none");
    }
    // Tables alone answer under the same keys as runs; beside runs they have a section of their
    // own.
    if (document.is_null()) {
      document = tables_json(report);
    } else {
      document["tables"] = tables_json(report);
      text += "\n";
    }
    text += tables_text(report);
    worst_mean = std::max(worst_mean, report.time.mape);
  }
  if (options.as_json) text = document.dump(1) + "\n";
  std::fputs(text.c_str(), stdout);
  return !options.max_error.empty() && worst_mean > limit ? kAnswerIsNo : kDone;
}

}  // namespace

void add_evaluate(CLI::App& app, Action& action) {
  auto* command =
      app.add_subcommand("evaluate", "Accuracy of predictions on recorded runs and tables");
  auto options = std::make_shared<Options>();
  command
      ->add_option("files", options->files,
                   "recorded runs (meshplan.runs/1), or tables: collectives, gemm_<device>, "
                   "attention_<device> (.csv)")
      ->required()
      ->type_name("FILE");
  command
      ->add_option("--max-error", options->max_error,
                   "exit 1 when the mean error of times is larger")
      ->type_name("10%");
  command
      ->add_option("--half", options->half,
                   "only what constants may be fitted on, or what is held out")
      ->type_name("fitted|held");
  command->add_flag("--unseen", options->unseen,
                    "tables of GEMMs and attention as on a device that nobody measured");
  command->add_option("--clusters", options->clusters, "clusters that tables of collectives name")
      ->type_name("FILE");
  command->add_option("--profiles", options->profiles, "directory with profiles of your own")
      ->type_name("DIR");
  command->add_flag("--json", options->as_json, "one JSON document on standard output");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace meshplan::cli
