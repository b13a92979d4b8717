#include "planner/export/framework_rules.h"

#include <algorithm>

#include "planner/layout/stage_split.h"
#include "profiles/input_error.h"
#include "profiles/nearest_name.h"

namespace meshplan::planner {
namespace {

using profiles::JsonNode;

FrameworkRule read_rule(const JsonNode& node, const std::string& framework) {
  node.refuse_unknown_keys({"id", "condition", "message", "source"});
  const JsonNode id = node.at("id");
  const JsonNode condition = node.at("condition");
  const JsonNode message = node.at("message");
  FrameworkRule out{framework + "." + id.string(), Condition(condition.string(), condition.where()),
                    Message(message.string(), message.where()), node.at("source").string()};
  if (out.condition.type() != FactType::Flag) condition.refuse("a comparison or a flag");
  return out;
}

TargetFramework read_framework(const JsonNode& node) {
  node.refuse_unknown_keys({"name", "title", "version", "aliases", "workload", "checked", "rules"});
  TargetFramework out;
  out.name = node.at("name").string();
  out.title = node.at("title").string();
  out.version = node.at("version").string();
  if (const auto aliases = node.find_value("aliases")) {
    for (const JsonNode& alias : aliases->elements()) out.aliases.push_back(alias.string());
  }
  if (const auto checked = node.find_value("checked")) {
    for (const JsonNode& source : checked->elements()) out.checked.push_back(source.string());
  }
  const std::string workload = node.at("workload").string();
  if (workload != "training" && workload != "inference") {
    node.at("workload").refuse("training or inference");
  }
  out.training = workload == "training";
  for (const JsonNode& rule : node.at("rules").elements()) {
    out.rules.push_back(read_rule(rule, out.name));
  }
  return out;
}

}  // namespace

FrameworkRules::FrameworkRules(const profiles::DataFiles& files)
    : FrameworkRules(files.at("rules", "frameworks", "table of rules")) {}

FrameworkRules::FrameworkRules(const JsonNode& document) {
  document.require_schema("rules");
  document.refuse_unknown_keys({"schema", "frameworks"});
  for (const JsonNode& node : document.at("frameworks").elements()) {
    frameworks_.push_back(read_framework(node));
  }
}

const TargetFramework& FrameworkRules::at(const std::string& name, const std::string& where) const {
  std::vector<std::string> known;
  for (const TargetFramework& framework : frameworks_) {
    const auto& aliases = framework.aliases;
    if (framework.name == name ||
        std::find(aliases.begin(), aliases.end(), name) != aliases.end()) {
      return framework;
    }
    known.push_back(framework.name);
  }
  std::string names;
  for (const std::string& one : known) names += (names.empty() ? "" : ", ") + one;
  throw profiles::InputError(where, "one of " + names,
                             "'" + name + "'" + profiles::did_you_mean(name, known));
}

Situation FrameworkJudge::situation(const Layout& layout) {
  if (!layout.stages.empty()) {
    return {layout, problem_.model, problem_.workload, problem_.cluster,
            split_shape(layout.stages)};
  }
  // A search asks of many layouts with the same chunks in a row.
  if (layout.chunks() != last_chunks_) {
    const auto [at, fresh] = default_splits_.try_emplace(layout.chunks());
    if (fresh) at->second = split_shape(stage_split(layout, problem_.model));
    last_chunks_ = layout.chunks();
    last_split_ = at->second;
  }
  return {layout, problem_.model, problem_.workload, problem_.cluster, last_split_};
}

std::optional<std::string> FrameworkJudge::broken_rule(const Layout& layout) {
  const Situation here = situation(layout);
  for (const FrameworkRule& rule : framework_.rules) {
    if (!rule.condition.holds(here)) return rule.id;
  }
  return std::nullopt;
}

std::vector<BrokenRule> FrameworkJudge::broken_rules(const Layout& layout) {
  const Situation here = situation(layout);
  std::vector<BrokenRule> out;
  for (const FrameworkRule& rule : framework_.rules) {
    if (!rule.condition.holds(here)) out.push_back({rule.id, rule.message.shown(here)});
  }
  return out;
}

}  // namespace meshplan::planner
