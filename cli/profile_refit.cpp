#include "cli/profile_refit.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/error_text.h"
#include "cli/table.h"
#include "planner/fit/fit_profile.h"
#include "planner/layout/layout_text.h"
#include "profiles/atomic_file.h"
#include "profiles/device_json.h"
#include "profiles/input_error.h"
#include "runtime/measure/recorded_run.h"

namespace meshplan::cli {
namespace {

namespace fs = std::filesystem;
using profiles::InputError;
using profiles::Seconds;
using runtime::RecordedRun;

struct RefitOptions {
  std::vector<std::string> measurements;
  std::string profile, out;
};

/// Of the step, with the profile as it was and as the other layouts correct it.
struct HeldOut {
  std::string what;
  double before = 0, after = 0;  ///< predicted / measured - 1
};

std::string layout_of(const RecordedRun& run) {
  return run.problem.model.name + " " + planner::text(run.layout) + " (" +
         std::string(name(run.measurement.mode)) + ")";
}

planner::RefitFactors fitted(const std::vector<RecordedRun>& runs,
                             const std::vector<std::vector<planner::RefitRow>>& rows,
                             const std::string& without = "") {
  std::vector<planner::RefitRow> used;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (layout_of(runs[i]) == without) continue;
    used.insert(used.end(), rows[i].begin(), rows[i].end());
  }
  return planner::refit(used);
}

double median_size(const std::vector<HeldOut>& rows, double HeldOut::*error) {
  std::vector<double> sizes;
  for (const HeldOut& row : rows) sizes.push_back(std::abs(row.*error));
  std::sort(sizes.begin(), sizes.end());
  const std::size_t n = sizes.size();
  return (sizes[(n - 1) / 2] + sizes[n / 2]) / 2;
}

/// Each run predicted by the profile that the runs of the other layouts correct.
std::vector<HeldOut> leave_one_layout_out(const std::vector<RecordedRun>& runs,
                                          const std::vector<std::vector<planner::RefitRow>>& rows) {
  std::vector<HeldOut> out;
  for (const RecordedRun& run : runs) {
    const Seconds measured = run.measurement.step;
    const planner::RefitFactors others = fitted(runs, rows, layout_of(run));
    out.push_back({layout_of(run), predicted_step(run) / measured - 1,
                   predicted_step(run, others) / measured - 1});
  }
  return out;
}

std::string held_out_table(const std::vector<HeldOut>& rows) {
  Table table({{"layout left out", Table::Align::Left}, {"as it was"}, {"refitted on the others"}});
  for (const HeldOut& row : rows) {
    table.add({row.what, signed_percent(row.before), signed_percent(row.after)});
  }
  table.add({"median", fmt::format("{:.1f}%", 100 * median_size(rows, &HeldOut::before)),
             fmt::format("{:.1f}%", 100 * median_size(rows, &HeldOut::after))},
            Style::Bold);
  return table.text();
}

std::string factors_text(const planner::RefitFactors& factors) {
  std::string out;
  for (int c = 0; c < planner::kOpClasses; ++c) {
    out += fmt::format("{}{} x {:.3f}", c == 0 ? "" : ", ", name(static_cast<planner::OpClass>(c)),
                       factors.by_class[static_cast<std::size_t>(c)]);
  }
  return out;
}

/// All runs are of one device, whose profile is corrected.
std::vector<RecordedRun> read_runs(const RefitOptions& options) {
  const profiles::DataFiles files(profiles::profile_directories(options.profile));
  std::vector<RecordedRun> runs;
  for (const std::string& file : options.measurements) {
    runs.push_back(runtime::read_recorded_run(profiles::JsonNode::read_file(file), files));
    const std::string& device = runs.back().problem.cluster.device.id;
    if (device != runs.front().problem.cluster.device.id) {
      throw InputError(file, "a run on " + runs.front().problem.cluster.device.id + " as the first",
                       "one on " + device);
    }
  }
  return runs;
}

int refit(const RefitOptions& options) {
  const fs::path from(options.profile), to(options.out);
  std::error_code ignored;
  if (fs::equivalent(from, to, ignored) || fs::exists(to)) {
    throw InputError("--out", "a new folder, so that no profile is lost", "'" + options.out + "'");
  }
  profiles::require_writable_folder(options.out);
  const std::vector<RecordedRun> runs = read_runs(options);
  const planner::Problem& problem = runs.front().problem;
  const std::string file = problem.cluster.device.id + ".json";
  if (!fs::exists(from / "profiles" / file)) {
    throw InputError("--profile", "a folder that holds profiles/" + file,
                     "'" + options.profile + "'");
  }
  std::vector<std::vector<planner::RefitRow>> rows;
  for (const RecordedRun& run : runs) rows.push_back(refit_rows(run));

  const planner::RefitFactors factors = fitted(runs, rows);
  std::string answer = factors_text(factors) + "\n";
  const std::vector<HeldOut> held_out = leave_one_layout_out(runs, rows);
  const bool several = std::any_of(held_out.begin(), held_out.end(), [&](const HeldOut& row) {
    return row.what != held_out.front().what;
  });
  if (several) answer += "\n" + held_out_table(held_out);
  std::fputs(answer.c_str(), stdout);
  if (several && median_size(held_out, &HeldOut::after) > median_size(held_out, &HeldOut::before)) {
    std::fprintf(stderr,
                 "meshplan: layouts left out are predicted worse than before: nothing written\n");
    return kAnswerIsNo;
  }

  planner::Problem corrected = runtime::corrected(problem, factors);
  corrected.profile.provenance +=
      fmt::format("; refitted to {} runs: {}", runs.size(), factors_text(factors));
  profiles::write_with_folders((to / "profiles" / file).string(),
                               planner::profile_text(corrected.profile));
  if (fs::exists(from / "devices" / file)) {
    profiles::write_with_folders((to / "devices" / file).string(),
                                 device_json(corrected.profile.device).dump(1) + "\n");
  }
  return kDone;
}

}  // namespace

void add_refit(CLI::App& profile, Action& action) {
  auto* command = profile.add_subcommand(
      "refit", "Corrects a profile from measured runs, one factor a class of operations");
  auto options = std::make_shared<RefitOptions>();
  command->add_option("measurements", options->measurements, "what run wrote with --out")
      ->type_name("MEASUREMENT.json")
      ->required();
  command->add_option("--profile", options->profile, "folder of the profile to correct")
      ->type_name("DIR")
      ->required();
  command->add_option("--out", options->out, "new folder for the corrected one")
      ->type_name("DIR")
      ->required();
  command->callback([options, &action] { action = [options] { return refit(*options); }; });
}

}  // namespace meshplan::cli
