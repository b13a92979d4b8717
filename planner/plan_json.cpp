#include "planner/plan_json.h"

#include <nlohmann/json.hpp>

#include "planner/explain/explain_json.h"
#include "planner/layout/layout_text.h"
#include "planner/model/parameters.h"
#include "planner/problem_json.h"
#include "planner/simulate/named_term.h"
#include "planner/simulate/summary.h"
#include "profiles/cluster_json.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using nlohmann::json;
using profiles::JsonNode;

json workload_json(const Workload& workload) {
  if (workload.kind == Workload::Kind::Training) {
    return {{"kind", "training"},
            {"seq_len", workload.seq_len},
            {"global_batch", workload.global_batch},
            {"dtype", profiles::name(workload.data_type)},
            {"optimizer", name(workload.optimizer)}};
  }
  json out = {{"kind", "inference"},
              {"prompt", workload.prompt},
              {"output", workload.output},
              {"dtype", profiles::name(workload.data_type)}};
  if (workload.batch) out["batch"] = *workload.batch;
  if (workload.concurrency) out["concurrency"] = *workload.concurrency;
  return out;
}

json options_json(const Problem& problem) {
  return {{"framework", problem.framework.name},
          {"flash_attention", problem.uses_flash_attention()},
          {"optimizer_sync", problem.global_sync ? "global" : "post_validated"},
          {"memory_margin", problem.memory_margin}};
}

json time_json(const Terms& terms) {
  json out;
  for (const NamedTerm& term : kTerms) out[std::string(term.key)] = (terms.*term.value).count();
  return out;
}

json memory_json(const Prediction& prediction) {
  json stages = json::array();
  profiles::Bytes allocated{};
  profiles::Bytes reserved{};
  for (const StageMemory& m : prediction.memory) {
    allocated = std::max(allocated, m.allocated());
    reserved = std::max(reserved, m.reserved());
    stages.push_back({{"weights_bytes", m.weights.count},
                      {"gradients_bytes", m.gradients.count},
                      {"optimizer_bytes", m.optimizer.count},
                      {"activations_bytes", m.activations.count},
                      {"loss_bytes", m.loss.count},
                      {"buffers_bytes", m.buffers.count},
                      {"workspace_bytes", m.workspace.count},
                      {"fragmentation_bytes", m.fragmentation.count},
                      {"context_bytes", m.context.count},
                      {"communicators_bytes", m.communicators.count},
                      {"allocated_peak_bytes", m.allocated().count},
                      {"reserved_peak_bytes", m.reserved().count},
                      {"device_peak_bytes", m.device().count}});
  }
  return {{"peak_bytes", peak_bytes(prediction.memory).count},
          {"allocated_peak_bytes", allocated.count},
          {"reserved_peak_bytes", reserved.count},
          {"capacity_bytes", prediction.capacity.count},
          {"stages", stages}};
}

json one_plan_json(const Problem& problem, const Plan& plan) {
  const bool training = problem.workload.kind == Workload::Kind::Training;
  json stages = json::array();
  const Prediction& p = plan.prediction;
  for (std::size_t s = 0; s < plan.stages.size(); ++s) {
    const StageLayers& stage = plan.stages[s];
    json chunks = json::array();
    for (const StageLayers::Chunk& chunk : stage.chunks) {
      chunks.push_back({{"first_layer", chunk.first_layer},
                        {"layers", chunk.layers},
                        {"embedding", chunk.embedding},
                        {"head", chunk.head}});
    }
    stages.push_back({{"chunks", chunks}, {"busy_seconds", p.busy[s].count()}});
  }
  return {
      {"layout", text(plan.layout, training)},
      {"fits", plan.fits},
      {"limited_by", plan.limited_by},
      {"equivalent_layouts", plan.equivalent},
      {"stages", stages},
      {"rank_map", {{"order", order_name(plan.layout.order)}, {"devices", plan.layout.devices()}}},
      {"options", options_json(problem)},
      {"prediction",
       {{"step_seconds", p.step.count()},
        {"step_seconds_low", p.step_low.count()},
        {"step_seconds_high", p.step_high.count()},
        {"tokens_per_second", p.tokens_per_second},
        {"mfu", p.mfu},
        {"hfu", p.hfu},
        {"terms_of_stage", p.terms_stage},
        {"time", time_json(p.terms)},
        {"memory", memory_json(p)}}}};
}

json search_json(const SearchReport& report) {
  return {{"exact", report.exact},
          {"candidates", report.candidates},
          {"feasible", report.feasible},
          {"simulated", report.simulated},
          {"seconds", report.seconds},
          {"lower_bound_seconds", report.lower_bound.count()},
          {"optimality_gap", report.optimality_gap},
          {"rejected", report.rejected}};
}

Workload read_workload(const JsonNode& node) {
  node.refuse_unknown_keys({"kind", "seq_len", "global_batch", "dtype", "optimizer", "prompt",
                            "output", "batch", "concurrency"});
  Workload out;
  const std::string kind = node.at("kind").string();
  if (kind != "training" && kind != "inference") node.at("kind").refuse("training or inference");
  const JsonNode type = node.at("dtype");
  const auto data_type = profiles::data_type_from(type.string());
  if (!data_type) type.refuse("one of fp32, tf32, fp16, bf16, fp8, fp4");
  out.data_type = *data_type;
  if (kind == "training") {
    out.seq_len = node.at("seq_len").count();
    out.global_batch = node.at("global_batch").count();
    if (const auto optimizer = node.find_value("optimizer")) {
      const auto known = optimizer_from(optimizer->string());
      if (!known) optimizer->refuse("adam, sgd or lion");
      out.optimizer = *known;
    }
    return out;
  }
  out.kind = Workload::Kind::Inference;
  out.prompt = node.at("prompt").count();
  out.output = node.at("output").count();
  if (const auto batch = node.find_value("batch")) out.batch = batch->count();
  if (const auto users = node.find_value("concurrency"); users && !users->is_string()) {
    out.concurrency = users->count();
  }
  return out;
}

}  // namespace

json plan_json(const Problem& problem, const PlanResult& result) {
  json plans = json::array();
  for (const Plan& plan : result.plans) {
    plans.push_back(one_plan_json(problem, plan));
    if (!result.search) continue;  // nothing to compare with
    plans.back()["explanation"] =
        standing_in_brief_json(standing(problem, plan, result.plans.front()));
  }
  json out = {{"schema", "meshplan.plan/1"},
              {"model",
               {{"name", problem.model.name},
                {"parameters", parameter_count(problem.model)},
                {"config", json::parse(problem.model_config)}}},
              {"cluster", profiles::cluster_json(problem.cluster)},
              {"workload", workload_json(problem.workload)},
              {"profile",
               {{"name", problem.profile.name},
                {"sha256", problem.profile.sha256},
                {"provenance", problem.profile.provenance}}},
              {"plans", plans}};
  if (result.search) out["search"] = search_json(*result.search);
  if (result.nearest_miss) {
    const NearestMiss& miss = *result.nearest_miss;
    out["nearest_miss"] = {{"plan", one_plan_json(problem, miss.plan)},
                           {"missing_bytes", miss.missing.count},
                           {"cheapest_knob", miss.cheapest_knob}};
  }
  return out;
}

json timeline_json(const Schedule& schedule, const Timeline& timeline) {
  const TimelineSummary summary = summarize(schedule, timeline, 0);
  json ranks = json::array();
  for (const RankSummary& rank : summary.ranks) {
    ranks.push_back({{"period_seconds", rank.period.count()},
                     {"time", time_json(rank.terms)},
                     {"bubble",
                      {{"waiting_seconds", rank.bubble.waiting.count()},
                       {"transfer_seconds", rank.bubble.transfer.count()}}},
                     {"activations_peak_bytes", rank.peak.count},
                     {"activations_peak_at_seconds", rank.peak_time.count()}});
  }
  return {{"stages", ranks}, {"critical_path", time_json(summary.critical_path)}};
}

PlanFile read_plan(const JsonNode& document, const profiles::DataFiles& files) {
  document.require_schema("plan");
  document.refuse_unknown_keys({"schema", "model", "cluster", "workload", "profile", "plans",
                                "search", "nearest_miss", "timeline", "what_if", "fleet"});
  PlanFile out;
  Problem& problem = out.problem;
  read_model_and_cluster(document, files, problem);
  problem.workload = read_workload(document.at("workload"));
  const std::vector<JsonNode> plans = read_plans(document);
  for (const JsonNode& plan : plans) {
    const JsonNode layout = plan.at("layout");
    out.layouts.push_back(layout_from_text(layout.string(), layout.where()));
  }
  const JsonNode options = plans.front().at("options");
  problem.framework = profiles::load_framework(options.at("framework").string(), files);
  problem.flash_attention = options.at("flash_attention").boolean();
  problem.global_sync = options.at("optimizer_sync").string() != "post_validated";
  if (const auto margin = options.find_value("memory_margin")) {
    problem.memory_margin = margin->number();
    if (problem.memory_margin < 0 || problem.memory_margin >= 1) {
      margin->refuse("a fraction from 0 to below 1");
    }
  }
  problem.profile = profiles::load_profile(problem.cluster, files);
  out.profile_sha256 = document.at("profile").at("sha256").string();
  return out;
}

}  // namespace meshplan::planner
