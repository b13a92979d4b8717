#include "runtime/measure/measurement_json.h"

#include <array>
#include <nlohmann/json.hpp>

#include "planner/simulate/named_term.h"

namespace meshplan::runtime {
namespace {

using Json = nlohmann::ordered_json;
using profiles::JsonNode;
using profiles::Seconds;

/// What may stand in a measurement's instructions.
constexpr std::array kTimed = {planner::Action::Forward,       planner::Action::Backward,
                               planner::Action::InputGrad,     planner::Action::WeightGrad,
                               planner::Action::OptimizerSync, planner::Action::OptimizerStep};

std::string key(MemoryTerm term) { return std::string(name(term)) + "_bytes"; }

Json memory_json(const MemoryUse& use) {
  Json out;
  for (int t = 0; t < kMemoryTerms; ++t) {
    const auto term = static_cast<MemoryTerm>(t);
    out[key(term)] = use[term].count;
  }
  return out;
}

MemoryUse read_memory(const JsonNode& node) {
  MemoryUse use;
  for (int t = 0; t < kMemoryTerms; ++t) {
    use.by_term[t].count = node.at(key(static_cast<MemoryTerm>(t))).integer(0);
  }
  return use;
}

Mode read_mode(const JsonNode& node) {
  for (const Mode mode : {Mode::Parallel, Mode::Replay, Mode::Partitioned}) {
    if (node.string() == name(mode)) return mode;
  }
  node.refuse("parallel, replay or partitioned");
}

planner::Action read_action(const JsonNode& node) {
  for (const planner::Action action : kTimed) {
    if (node.string() == planner::name(action)) return action;
  }
  node.refuse("an instruction that computes");
}

Json executed_json(const Executed& executed) {
  return {{"ranks", executed.ranks},
          {"micro_batches", executed.microbatches},
          {"of_micro_batches", executed.of_microbatches}};
}

Executed read_executed(const JsonNode& node, int ranks) {
  node.refuse_unknown_keys({"ranks", "micro_batches", "of_micro_batches"});
  Executed out;
  for (const JsonNode& rank : node.at("ranks").elements()) {
    out.ranks.push_back(static_cast<int>(rank.integer(0, ranks - 1)));
  }
  out.microbatches = node.at("micro_batches").count();
  out.of_microbatches = node.at("of_micro_batches").count();
  return out;
}

}  // namespace

std::string measurement_text(const Measurement& m, const std::string& plan) {
  Json out;
  out["schema"] = "meshplan.measurement/1";
  out["model"] = m.model;
  out["layout"] = m.layout;
  out["device"] = m.device;
  out["mode"] = name(m.mode);
  out["communication"] = m.mode == Mode::Replay ? "modelled" : "measured";
  out["ranks"] = m.ranks;
  out["warm_up_steps"] = m.warm_up;
  out["step_seconds"] = m.step.count();
  out["steps_seconds"] = Json::array();
  for (const Seconds step : m.steps) out["steps_seconds"].push_back(step.count());
  out["time_rank"] = m.terms_rank;
  for (const planner::NamedTerm& term : planner::kTerms) {
    out["time"][std::string(term.key)] = (m.terms.*term.value).count();
  }
  out["instructions"] = Json::array();
  for (const InstructionTime& i : m.instructions) {
    out["instructions"].push_back({{"action", planner::name(i.action)},
                                   {"chunk", i.chunk},
                                   {"count", i.count},
                                   {"median_seconds", i.median.count()},
                                   {"least_seconds", i.least.count()},
                                   {"most_seconds", i.most.count()}});
  }
  out["memory"] = Json::array();
  for (const RankMemory& rank : m.memory) {
    out["memory"].push_back({{"peak_bytes", rank.at_peak.total().count},
                             {"at_peak", memory_json(rank.at_peak)},
                             {"term_peaks", memory_json(rank.term_peaks)}});
  }
  out["loss"] = m.losses;
  if (m.executed) out["executed"] = executed_json(*m.executed);
  if (!plan.empty()) out["plan"] = Json::parse(plan);
  return out.dump(1) + "\n";
}

Measurement read_measurement(const JsonNode& document) {
  document.require_schema("measurement");
  document.refuse_unknown_keys({"schema", "model", "layout", "device", "mode", "communication",
                                "ranks", "warm_up_steps", "step_seconds", "steps_seconds",
                                "time_rank", "time", "instructions", "memory", "loss", "executed",
                                "plan"});
  Measurement m;
  m.model = document.at("model").string();
  m.layout = document.at("layout").string();
  m.device = document.at("device").string();
  m.mode = read_mode(document.at("mode"));
  m.ranks = document.at("ranks").count();
  m.warm_up = static_cast<int>(document.at("warm_up_steps").integer(0, 1'000'000));
  m.step = Seconds{document.at("step_seconds").positive_number()};
  for (const JsonNode& step : document.at("steps_seconds").elements()) {
    m.steps.emplace_back(step.positive_number());
  }
  if (m.steps.empty()) document.at("steps_seconds").refuse("at least one step");
  m.terms_rank = static_cast<int>(document.at("time_rank").integer(0, m.ranks - 1));
  for (const planner::NamedTerm& term : planner::kTerms) {
    m.terms.*term.value = Seconds{document.at("time").at(term.key).number()};
  }
  for (const JsonNode& i : document.at("instructions").elements()) {
    m.instructions.push_back(
        {read_action(i.at("action")), static_cast<int>(i.at("chunk").integer(0, 1'000'000)),
         i.at("count").count(), Seconds{i.at("median_seconds").number()},
         Seconds{i.at("least_seconds").number()}, Seconds{i.at("most_seconds").number()}});
  }
  for (const JsonNode& rank : document.at("memory").elements()) {
    m.memory.push_back({read_memory(rank.at("at_peak")), read_memory(rank.at("term_peaks"))});
  }
  for (const JsonNode& loss : document.at("loss").elements()) m.losses.push_back(loss.number());
  if (const auto executed = document.find_value("executed")) {
    m.executed = read_executed(*executed, m.ranks);
  }
  return m;
}

}  // namespace meshplan::runtime
