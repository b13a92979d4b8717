#include "planner/cost/collective/collective_source.h"

#include <algorithm>

#include "profiles/cluster_load.h"
#include "profiles/input_error.h"
#include "profiles/json_node.h"

namespace meshplan::planner {
namespace {

using profiles::JsonNode;

CollectiveSource read_source(const JsonNode& node) {
  node.refuse_unknown_keys({"timed", "hosts", "without_ll128", "source"});
  CollectiveSource out;
  const JsonNode timed = node.at("timed");
  const auto timing = call_timing_from(timed.string());
  if (!timing) timed.refuse("graph, launched, kernel or program");
  out.timing = *timing;
  if (const auto hosts = node.find_value("hosts")) {
    for (const auto& [cluster, facts] : hosts->members()) {
      for (const auto& [key, value] : facts.members()) out.hosts[cluster][key] = value.string();
    }
  }
  if (const auto clusters = node.find_value("without_ll128")) {
    for (const JsonNode& cluster : clusters->elements()) out.without_ll128.insert(cluster.string());
  }
  return out;
}

/// None where no source's name begins the text.
const CollectiveSource* find(std::string_view text, const CollectiveSources& sources) {
  const auto found = std::find_if(sources.begin(), sources.end(),
                                  [&](const auto& one) { return text.starts_with(one.first); });
  return found == sources.end() ? nullptr : &found->second;
}

}  // namespace

CollectiveSources load_collective_sources(const profiles::DataFiles& files) {
  const auto node = files.find("collectives/sources");
  if (!node) throw profiles::InputError("sources of collectives", "collectives/sources", "none");
  node->require_schema("collective-sources");
  node->refuse_unknown_keys({"schema", "sources"});
  CollectiveSources out;
  for (const auto& [name, source] : node->at("sources").members()) {
    out.emplace(name, read_source(source));
  }
  return out;
}

const CollectiveSources& shipped_collective_sources() {
  static const CollectiveSources kSources = load_collective_sources(profiles::DataFiles());
  return kSources;
}

CallTiming call_timing_of_source(std::string_view text, const CollectiveSources& sources) {
  if (text.empty()) return CallTiming::Graph;
  const CollectiveSource* source = find(text, sources);
  return source != nullptr ? source->timing : CallTiming::Launched;
}

profiles::Cluster host_of_source(profiles::Cluster cluster, std::string_view text,
                                 const CollectiveSources& sources) {
  const CollectiveSource* source = find(text, sources);
  if (source == nullptr) return cluster;
  const auto facts = source->hosts.find(cluster.name);
  if (facts == source->hosts.end()) return cluster;
  for (const auto& [key, value] : facts->second) {
    cluster = profiles::apply_setting(std::move(cluster), key, value);
  }
  return cluster;
}

bool source_has_ll128(std::string_view cluster, std::string_view text,
                      const CollectiveSources& sources) {
  const CollectiveSource* source = find(text, sources);
  return source == nullptr || !source->without_ll128.contains(std::string(cluster));
}

}  // namespace meshplan::planner
