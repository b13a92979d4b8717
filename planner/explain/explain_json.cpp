#include "planner/explain/explain_json.h"

#include <nlohmann/json.hpp>

#include "planner/layout/layout_text.h"

namespace meshplan::planner {
namespace {

using nlohmann::json;

/// A layout that runs, in short.
json outcome_json(const Plan& plan) {
  return {{"layout", text(plan.layout)},
          {"step_seconds", plan.prediction.step.count()},
          {"peak_bytes", peak_bytes(plan.prediction.memory).count}};
}

json mending_json(const Mending& mending) {
  const Failure& failure = mending.failure;
  json out = {{"rule", failure.rule},     {"what", failure.what},       {"found", failure.found},
              {"needed", failure.needed}, {"missing", failure.missing}, {"unit", failure.unit}};
  out["mends"] = json::array();
  for (const Mend& mend : mending.mends) {
    json one = outcome_json(mend.plan);
    one["knob"] = mend.knob;
    one["change"] = mend.change;
    one["also"] = mend.also;
    out["mends"].push_back(std::move(one));
  }
  out["cleared_by"] = mending.cleared_by;
  out["reliefs"] = json::array();
  for (const Relief& relief : mending.reliefs) {
    out["reliefs"].push_back({{"change", relief.change}, {"saved_bytes", relief.saved.count}});
  }
  return out;
}

json sizes_json(const std::vector<MemoryTerm>& terms) {
  json out = json::object();
  for (const MemoryTerm& term : terms) out[std::string(term.key)] = term.size.count;
  return out;
}

json memory_json(const MemoryAccount& memory) {
  json estimates = json::array();
  for (const EstimateCheck& check : memory.estimates) {
    estimates.push_back({{"name", check.estimate.name},
                         {"formula", check.estimate.formula},
                         {"states_bytes", check.estimate.states.count},
                         {"activations_bytes", check.estimate.activations.count},
                         {"total_bytes", check.estimate.total().count},
                         {"off_bytes", check.off.count},
                         {"left_out", sizes_json(check.left_out)},
                         {"why", check.why}});
  }
  return {{"stage", memory.stage},
          {"fits", memory.fits()},
          {"peak_bytes", memory.peak.count},
          {"limit_bytes", memory.limit.count},
          {"terms", sizes_json(memory.terms)},
          {"estimates", estimates}};
}

json terms_json(const Terms& terms) {
  json out = json::object();
  for (const NamedTerm& term : kTerms) out[std::string(term.key)] = (terms.*term.value).count();
  return out;
}

json difference_json(const Standing& standing) {
  json out = json::object();
  for (const NamedTerm& term : kTerms) {
    out[std::string(term.key)] =
        (standing.terms.*term.value - standing.best_terms.*term.value).count();
  }
  return out;
}

}  // namespace

json explanation_json(const Explanation& explanation) {
  json out = {{"layout", text(explanation.layout)},
              {"runs", explanation.failing.empty()},
              {"failing", json::array()}};
  for (const Mending& mending : explanation.failing) {
    out["failing"].push_back(mending_json(mending));
  }
  if (explanation.plan) out["prediction"] = outcome_json(*explanation.plan);
  if (explanation.nearest) {
    out["nearest"] = outcome_json(explanation.nearest->plan);
    out["nearest"]["turns"] = explanation.nearest->turns;
    out["nearest"]["change"] = explanation.nearest->change;
  }
  if (explanation.standing) {
    const Standing& s = *explanation.standing;
    out["standing"] = {{"layout", text(s.layout)},
                       {"best", text(s.best)},
                       {"step_seconds", s.step.count()},
                       {"best_step_seconds", s.best_step.count()},
                       {"best_step_ratio", s.ratio()},
                       {"time", terms_json(s.terms)},
                       {"best_time", terms_json(s.best_terms)},
                       {"difference", difference_json(s)},
                       {"order_chance", s.order_chance},
                       {"why", s.why}};
  }
  if (explanation.searched.nearest_miss) {
    const NearestMiss& miss = *explanation.searched.nearest_miss;
    out["nearest_miss"] = {{"layout", text(miss.plan.layout)},
                           {"missing_bytes", miss.missing.count},
                           {"cheapest_knob", miss.cheapest_knob}};
  }
  if (explanation.memory) out["memory"] = memory_json(*explanation.memory);
  return out;
}

json standing_in_brief_json(const Standing& standing) {
  return {{"best_step_ratio", standing.ratio()},
          {"difference", difference_json(standing)},
          {"order_chance", standing.order_chance},
          {"why", standing.why}};
}

}  // namespace meshplan::planner
