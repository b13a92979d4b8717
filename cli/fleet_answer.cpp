#include "cli/fleet_answer.h"

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/flags.h"
#include "cli/plan_report.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "planner/layout/layout_text.h"
#include "planner/plan_json.h"
#include "profiles/atomic_file.h"
#include "profiles/input_error.h"
#include "profiles/number_format.h"

namespace meshplan::cli {
namespace {

using planner::FleetAnswer;
using planner::FleetQuestion;
using planner::FleetSize;
using profiles::InputError;
using profiles::Seconds;
using profiles::with_thousands;

constexpr double kSecondsADay = 86400;

double days(Seconds time) { return time.count() / kSecondsADay; }

std::string whole(double value) { return with_thousands(std::llround(value)); }

double tokens_a_device(const FleetSize& size) {
  return size.plan->prediction.tokens_per_second / static_cast<double>(size.devices);
}

std::string verdict(const FleetSize& size) {
  if (!size.plan) return "no layout";
  if (size.meets()) return "meets it";
  if (!size.in_time) return size.in_budget ? "too slow" : "too slow and too dear";
  return "too dear";
}

/// Sizes worth a line: those with a layout, or where there are many the chosen one with its
/// neighbours and the ends.
std::vector<const FleetSize*> shown(const FleetAnswer& answer) {
  constexpr std::size_t kMost = 16;
  std::vector<const FleetSize*> with_layout;
  std::size_t chosen = 0;
  for (std::size_t i = 0; i < answer.sizes.size(); ++i) {
    if (!answer.sizes[i].plan) continue;
    if (answer.chosen == i) chosen = with_layout.size();
    with_layout.push_back(&answer.sizes[i]);
  }
  if (with_layout.size() <= kMost) return with_layout;
  std::vector<const FleetSize*> out;
  for (std::size_t i = 0; i < with_layout.size(); ++i) {
    const bool near = i + kMost / 2 > chosen && i < chosen + kMost / 2;
    if (near || i == 0 || i + 1 == with_layout.size()) out.push_back(with_layout[i]);
  }
  return out;
}

std::string fleet_text(const FleetQuestion& question, const FleetAnswer& answer) {
  const bool priced = question.dollars_per_device_hour.has_value();
  std::string out =
      fmt::format("{} tokens within {:.4g} {}: {} steps", profiles::human_count(question.tokens),
                  days(question.deadline), days(question.deadline) == 1 ? "day" : "days",
                  with_thousands(answer.steps));
  if (priced)
    out += fmt::format(", at {:.4g} dollars a GPU and hour", *question.dollars_per_device_hour);
  if (question.most_dollars)
    out += fmt::format(", for at most {} dollars", whole(*question.most_dollars));
  out += "\n\n";
  std::vector<Table::Column> columns = {
      {"GPUs"}, {"nodes"}, {"best layout", Table::Align::Left}, {"step"}, {"days"}};
  if (priced) columns.push_back({"dollars"});
  columns.push_back({"tokens/s/GPU"});
  columns.push_back({"", Table::Align::Left});
  Table table(columns);
  const FleetSize* chosen = answer.chosen ? &answer.sizes[*answer.chosen] : nullptr;
  for (const FleetSize* size : shown(answer)) {
    std::vector<std::string> row = {with_thousands(size->devices), with_thousands(size->nodes)};
    if (size->plan) {
      row.push_back(planner::text(size->plan->layout));
      row.push_back(profiles::human(size->plan->prediction.step));
      row.push_back(fmt::format("{:.1f}", days(size->time)));
      if (priced) row.push_back(whole(*size->dollars));
      row.push_back(fmt::format("{:.0f}", tokens_a_device(*size)));
    } else {
      row.resize(columns.size() - 1);
    }
    row.push_back(verdict(*size));
    table.add(row, size == chosen ? Style::Green : Style::Plain);
  }
  out += table.text();
  const auto without = std::count_if(answer.sizes.begin(), answer.sizes.end(),
                                     [](const FleetSize& size) { return !size.plan; });
  out += fmt::format("\n{} {} tried", answer.sizes.size(),
                     answer.sizes.size() == 1 ? "size" : "sizes");
  if (without > 0) out += fmt::format(", {} without a layout that fits", without);
  out += ": " + answer.how + ".\n";
  return out;
}

/// The best there is where nothing meets the question.
std::string achievable_text(const FleetQuestion& question, const FleetAnswer& answer) {
  const FleetSize* fastest = nullptr;
  const FleetSize* cheapest_in_time = nullptr;
  for (const FleetSize& size : answer.sizes) {
    if (!size.plan) continue;
    if (size.in_budget && (fastest == nullptr || size.time < fastest->time)) fastest = &size;
    if (size.in_time && size.dollars &&
        (cheapest_in_time == nullptr || *size.dollars < *cheapest_in_time->dollars)) {
      cheapest_in_time = &size;
    }
  }
  std::string out = "No size that was tried meets it.\n";
  if (fastest != nullptr) {
    out += fmt::format("Fastest{}: {} GPUs, {:.1f} days.\n",
                       question.most_dollars ? " within the budget" : "",
                       with_thousands(fastest->devices), days(fastest->time));
  }
  if (cheapest_in_time != nullptr) {
    out +=
        fmt::format("Cheapest in time: {} GPUs, {} dollars.\n",
                    with_thousands(cheapest_in_time->devices), whole(*cheapest_in_time->dollars));
  }
  return out;
}

nlohmann::json fleet_json(const FleetQuestion& question, const FleetAnswer& answer) {
  const auto optional_number = [](const std::optional<double>& value) {
    return value ? nlohmann::json(*value) : nlohmann::json(nullptr);
  };
  nlohmann::json sizes = nlohmann::json::array();
  for (const FleetSize& size : answer.sizes) {
    nlohmann::json one = {{"nodes", size.nodes},
                          {"devices", size.devices},
                          {"meets", size.meets()},
                          {"verdict", verdict(size)}};
    if (size.plan) {
      one["layout"] = planner::text(size.plan->layout);
      one["step_seconds"] = size.plan->prediction.step.count();
      one["time_seconds"] = size.time.count();
      one["tokens_per_second_per_device"] = tokens_a_device(size);
      if (size.dollars) one["cost_dollars"] = *size.dollars;
    }
    sizes.push_back(std::move(one));
  }
  return {{"tokens", question.tokens},
          {"deadline_seconds", question.deadline.count()},
          {"max_dollars", optional_number(question.most_dollars)},
          {"dollars_per_device_hour", optional_number(question.dollars_per_device_hour)},
          {"steps", answer.steps},
          {"least_nodes", answer.least_nodes},
          {"chosen_nodes", answer.chosen ? nlohmann::json(answer.sizes[*answer.chosen].nodes)
                                         : nlohmann::json(nullptr)},
          {"how", answer.how},
          {"sizes", sizes}};
}

}  // namespace

void add_fleet_options(CLI::App& command, FleetFlags& flags) {
  command
      .add_option("--deadline-days", flags.deadline_days,
                  "how many GPUs: the smallest size of the cluster that trains --tokens in time")
      ->type_name("X");
  command.add_option("--tokens", flags.tokens, "tokens to train on by then, e.g. 15e12")
      ->type_name("X");
  command.add_option("--max-dollars", flags.max_dollars, "and for no more than this")
      ->type_name("X");
  command
      .add_option("--dollars-per-gpu-hour", flags.dollars_per_gpu_hour,
                  "price of one GPU (as the device's file says, if it does)")
      ->type_name("X");
}

FleetQuestion fleet_question(const FleetFlags& flags, const planner::Problem& problem) {
  FleetQuestion out;
  if (flags.deadline_days.empty())
    throw InputError("--deadline-days", "days, with --tokens", "nothing");
  if (flags.tokens.empty()) throw InputError("--tokens", "tokens, with --deadline-days", "nothing");
  out.deadline = Seconds{positive_flag(flags.deadline_days, "--deadline-days") * kSecondsADay};
  out.tokens = positive_flag(flags.tokens, "--tokens");
  constexpr double kMostTokens = 1e18;
  if (out.tokens > kMostTokens) throw InputError("--tokens", "at most 1e18", flags.tokens);
  if (!flags.max_dollars.empty()) {
    out.most_dollars = positive_flag(flags.max_dollars, "--max-dollars");
  }
  out.dollars_per_device_hour = problem.cluster.device.dollars_per_hour;
  if (!flags.dollars_per_gpu_hour.empty()) {
    out.dollars_per_device_hour =
        positive_flag(flags.dollars_per_gpu_hour, "--dollars-per-gpu-hour");
  }
  if (out.most_dollars && !out.dollars_per_device_hour) {
    throw InputError("--max-dollars", "a price: --dollars-per-gpu-hour X",
                     "none for " + problem.cluster.device.id);
  }
  return out;
}

int answer_fleet(const FleetQuestion& question, const planner::Problem& problem,
                 const planner::SearchOptions& search, bool as_json, const std::string& out) {
  FleetAnswer answer;
  {
    Progress progress;
    answer = planner::smallest_fleet(problem, question, search, [&](const FleetSize& size) {
      progress.show(with_thousands(size.devices) + " GPUs: " + verdict(size));
    });
  }
  const FleetSize* chosen = answer.chosen ? &answer.sizes[*answer.chosen] : nullptr;
  const planner::Problem sized =
      chosen != nullptr ? planner::resized(problem, chosen->nodes) : problem;
  planner::PlanResult result;
  if (chosen != nullptr) result.plans.push_back(*chosen->plan);
  nlohmann::json document = plan_json(sized, result);
  document["fleet"] = fleet_json(question, answer);
  const std::string written = document.dump(1) + "\n";
  if (!out.empty() && chosen != nullptr) profiles::write_atomically(out, written);
  if (as_json) {
    std::fputs(written.c_str(), stdout);
  } else {
    std::string text = question_text(sized) + "\n" + fleet_text(question, answer);
    text += "\n" + (chosen != nullptr ? plan_text(sized, *chosen->plan)
                                      : achievable_text(question, answer));
    std::fputs(text.c_str(), stdout);
  }
  return chosen != nullptr ? kDone : kAnswerIsNo;
}

}  // namespace meshplan::cli
