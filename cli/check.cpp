#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/error_text.h"
#include "cli/table.h"
#include "planner/check/compare.h"
#include "planner/check/junit.h"
#include "profiles/atomic_file.h"
#include "profiles/data_files.h"
#include "profiles/number_format.h"

namespace meshplan::cli {
namespace {

using nlohmann::json;
using planner::Figure;
using planner::Finding;
using planner::Verdict;
using profiles::human;
using profiles::Seconds;

struct Options {
  std::string suite, baseline, junit, profiles;
  bool update = false, as_json = false;
};

std::string shown(Figure figure, std::optional<double> value) {
  if (!value) return "-";
  switch (figure) {
    case Figure::BestStep:
      return human(Seconds{*value});
    case Figure::TimeError:
    case Figure::MemoryError:
      return signed_percent(*value);
    case Figure::SaidToRun:
      return *value > 0 ? "right" : "wrong";
  }
  return "";
}

/// Steps change by a fraction, sizes of errors by percentage points.
std::string change_of(const Finding& finding) {
  if (!finding.was || !finding.is) return "";
  switch (finding.figure) {
    case Figure::BestStep:
      return signed_percent(*finding.is / *finding.was - 1);
    case Figure::TimeError:
    case Figure::MemoryError:
      return signed_points(std::abs(*finding.is) - std::abs(*finding.was));
    case Figure::SaidToRun:
      return "";
  }
  return "";
}

Style style_of(Verdict verdict) {
  if (verdict == Verdict::Worse || verdict == Verdict::Unknown) return Style::Red;
  if (verdict == Verdict::Better) return Style::Green;
  return verdict == Verdict::Same ? Style::Plain : Style::Yellow;
}

std::vector<std::string> cells(const Finding& finding) {
  const std::string subject = finding.suite_part == "questions"
                                  ? finding.subject
                                  : finding.suite_part + ": " + finding.subject;
  return {subject,
          std::string(name(finding.figure)),
          shown(finding.figure, finding.was),
          shown(finding.figure, finding.is),
          change_of(finding),
          std::string(name(finding.verdict)),
          finding.why};
}

/// Mean size of one error over the recorded runs of a part, then and now.
struct Mean {
  double was = 0, is = 0;
  int runs = 0;
};

/// Every question; of recorded runs the mean errors, and each figure that changed.
std::string findings_text(const std::vector<Finding>& findings) {
  Table table({{"question or run", Table::Align::Left},
               {"figure", Table::Align::Left},
               {"was"},
               {"is"},
               {"change"},
               {"", Table::Align::Left},
               {"", Table::Align::Left}});
  std::map<std::pair<std::string, Figure>, Mean> means;
  for (const Finding& finding : findings) {
    if (finding.figure == Figure::BestStep || finding.verdict != Verdict::Same) {
      table.add(cells(finding), style_of(finding.verdict));
    }
    const bool is_error =
        finding.figure == Figure::TimeError || finding.figure == Figure::MemoryError;
    if (!is_error || !finding.was || !finding.is) continue;
    Mean& mean = means[{finding.suite_part, finding.figure}];
    mean.was += std::abs(*finding.was);
    mean.is += std::abs(*finding.is);
    ++mean.runs;
  }
  for (const auto& [of, mean] : means) {
    const auto& [part, figure] = of;
    table.add({fmt::format("{}: mean of {}", part, mean.runs), std::string(name(figure)),
               fmt::format("{:.1f}%", 100 * mean.was / mean.runs),
               fmt::format("{:.1f}%", 100 * mean.is / mean.runs),
               signed_points((mean.is - mean.was) / mean.runs)});
  }
  return table.text();
}

int count(const std::vector<Finding>& findings, Verdict verdict) {
  return static_cast<int>(
      std::count_if(findings.begin(), findings.end(),
                    [&](const Finding& finding) { return finding.verdict == verdict; }));
}

std::string summary_text(const std::vector<Finding>& findings) {
  std::string out = fmt::format("{} figures:", findings.size());
  for (const Verdict verdict : {Verdict::Worse, Verdict::Unknown, Verdict::Better, Verdict::Changed,
                                Verdict::Gone, Verdict::Same}) {
    const int many = count(findings, verdict);
    if (many > 0 || verdict == Verdict::Worse) out += fmt::format(" {} {},", many, name(verdict));
  }
  out.back() = '\n';
  return out;
}

json findings_json(const std::vector<Finding>& findings, bool passed) {
  const auto or_null = [](std::optional<double> value) { return value ? json(*value) : json(); };
  json list = json::array();
  for (const Finding& finding : findings) {
    json entry = {{"part", finding.suite_part},     {"subject", finding.subject},
                  {"figure", name(finding.figure)}, {"was", or_null(finding.was)},
                  {"is", or_null(finding.is)},      {"verdict", name(finding.verdict)}};
    if (!finding.was_layout.empty()) entry["was_layout"] = finding.was_layout;
    if (!finding.is_layout.empty()) entry["is_layout"] = finding.is_layout;
    if (!finding.why.empty()) entry["why"] = finding.why;
    list.push_back(std::move(entry));
  }
  return {{"passed", passed},
          {"worse", count(findings, Verdict::Worse)},
          {"unknown", count(findings, Verdict::Unknown)},
          {"better", count(findings, Verdict::Better)},
          {"findings", list}};
}

planner::Baseline baseline_before(const Options& options) {
  // The first baseline is written over nothing.
  if (options.update && !std::filesystem::exists(options.baseline)) return {};
  return planner::read_baseline(profiles::JsonNode::read_file(options.baseline));
}

int run(const Options& options) {
  const profiles::DataFiles files(profiles::profile_directories(options.profiles));
  const auto folder = std::filesystem::path(options.suite).parent_path();
  const planner::Suite suite = planner::read_suite(profiles::JsonNode::read_file(options.suite),
                                                   folder.empty() ? "." : folder.string(), files);
  const planner::Baseline was = baseline_before(options);
  profiles::require_writable_file(options.junit);
  if (options.update) profiles::require_writable_file(options.baseline);
  const planner::Baseline is = planner::answers(suite);
  const std::vector<Finding> findings = planner::compare(suite, was, is);
  const bool failed = std::any_of(findings.begin(), findings.end(),
                                  [](const Finding& finding) { return finding.fails(); });

  if (!options.junit.empty()) {
    profiles::write_atomically(options.junit, planner::junit_xml(findings));
  }
  if (options.update) {
    profiles::write_atomically(options.baseline, planner::baseline_text(is));
  }
  std::string text;
  if (options.as_json) {
    text = findings_json(findings, !failed).dump(1) + "\n";
  } else {
    text = findings_text(findings) + "\n" + summary_text(findings);
    if (options.update) text += options.baseline + " is rewritten\n";
  }
  std::fputs(text.c_str(), stdout);
  return failed && !options.update ? kAnswerIsNo : kDone;
}

}  // namespace

void add_check(CLI::App& app, Action& action) {
  auto* command =
      app.add_subcommand("check", "Gate for CI: exit 1 when a best plan or the accuracy got worse");
  auto options = std::make_shared<Options>();
  command->add_option("suite", options->suite, "questions and recorded runs (meshplan.suite/1)")
      ->required()
      ->type_name("SUITE");
  command
      ->add_option("--baseline", options->baseline, "what they gave before (meshplan.baseline/1)")
      ->required()
      ->type_name("FILE");
  command->add_flag("--update", options->update,
                    "rewrite the baseline with what they give now; never in CI");
  command->add_option("--junit", options->junit, "write the findings as JUnit XML")
      ->type_name("FILE");
  command->add_option("--profiles", options->profiles, "directory with profiles of your own")
      ->type_name("DIR");
  command->add_flag("--json", options->as_json, "one JSON document on standard output");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace meshplan::cli
