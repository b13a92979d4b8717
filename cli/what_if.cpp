#include "cli/what_if.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/error_text.h"
#include "cli/table.h"
#include "planner/explain/fastest.h"
#include "planner/layout/layout_text.h"
#include "profiles/cluster_json.h"
#include "profiles/number_format.h"

namespace meshplan::cli {
namespace {

using planner::Plan;
using profiles::human;

/// What stands at a key of `--set`; "unstated" where nothing does.
std::string fact(const profiles::Cluster& cluster, const std::string& key) {
  if (key == "device") return cluster.device.id;
  std::string pointer = "/" + key;
  std::replace(pointer.begin(), pointer.end(), '.', '/');
  const nlohmann::json document = profiles::cluster_json(cluster);
  const nlohmann::json::json_pointer at(pointer);
  if (!document.contains(at)) return "unstated";
  const nlohmann::json& value = document.at(at);
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_number()) return value.dump();
  const double number = value.get<double>();
  const std::string brief = fmt::format("{:g}", number);  // 5e+10 rather than 50000000000
  return std::stod(brief) == number ? brief : fmt::format("{}", number);
}

std::vector<std::string> row(const char* what, const std::optional<Plan>& plan,
                             const std::optional<Plan>& before) {
  if (!plan) return {what, "nothing fits"};
  std::string change;
  if (before && &plan != &before) {
    change = signed_percent(plan->prediction.step / before->prediction.step - 1);
  }
  return {what, planner::text(plan->layout), human(plan->prediction.step), change,
          profiles::with_thousands(static_cast<std::int64_t>(plan->prediction.tokens_per_second))};
}

nlohmann::json outcome_json(const std::optional<Plan>& plan) {
  if (!plan) return nullptr;
  return {{"layout", planner::text(plan->layout)},
          {"step_seconds", plan->prediction.step.count()},
          {"tokens_per_second", plan->prediction.tokens_per_second}};
}

}  // namespace

std::optional<WhatIf> what_if(const ProblemOptions& options, const profiles::DataFiles& files,
                              const planner::Problem& changed, const planner::SearchOptions& search,
                              const planner::PlanResult& after) {
  if (options.settings.empty()) return std::nullopt;
  ProblemOptions unchanged = options;
  unchanged.settings.clear();
  const planner::Problem base = problem_from(unchanged, files);
  WhatIf out;
  for (const std::string& setting : options.settings) {
    const std::string key = setting.substr(0, setting.find('='));
    out.settings.push_back({key, fact(base.cluster, key), fact(changed.cluster, key)});
  }
  if (!after.plans.empty()) out.after = after.plans.front();
  planner::SearchOptions best = search;
  best.top = 1;
  best.mend_miss = false;
  planner::PlanResult before = planner::search(base, best);
  if (before.plans.empty()) return out;
  out.before = std::move(before.plans.front());
  planner::PriceBook book(changed);
  if (planner::runs(book, out.before->layout)) {
    out.kept = planner::predict(book, out.before->layout);
  }
  return out;
}

std::string what_if_text(const WhatIf& what_if) {
  std::string out;
  for (const WhatIf::Setting& setting : what_if.settings) {
    out += fmt::format("what if {} = {} instead of {}\n", setting.key, setting.to, setting.from);
  }
  Table table({{"", Table::Align::Left},
               {"best layout", Table::Align::Left},
               {"step"},
               {"change"},
               {"tokens/s"}});
  table.add(row("as it is", what_if.before, what_if.before));
  table.add(row("changed", what_if.after, what_if.before));
  if (what_if.kept && what_if.after && what_if.kept->layout != what_if.after->layout) {
    table.add(row("changed, the old plan kept", what_if.kept, what_if.before));
  }
  return out + table.text();
}

nlohmann::json what_if_json(const WhatIf& what_if) {
  nlohmann::json settings = nlohmann::json::array();
  for (const WhatIf::Setting& setting : what_if.settings) {
    settings.push_back({{"key", setting.key}, {"from", setting.from}, {"to", setting.to}});
  }
  nlohmann::json out = {{"settings", settings},
                        {"before", outcome_json(what_if.before)},
                        {"after", outcome_json(what_if.after)},
                        {"kept", outcome_json(what_if.kept)}};
  if (what_if.before && what_if.after) {
    out["step_change"] = what_if.after->prediction.step / what_if.before->prediction.step - 1;
  }
  return out;
}

}  // namespace meshplan::cli
