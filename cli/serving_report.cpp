#include "cli/serving_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/plan_report.h"
#include "cli/table.h"
#include "planner/layout/layout_text.h"
#include "planner/model/parameters.h"
#include "profiles/cluster_json.h"
#include "profiles/number_format.h"

namespace meshplan::cli {
namespace {

using nlohmann::json;
using planner::Demand;
using planner::ServingPlan;
using planner::StepTime;
using profiles::human;
using profiles::Seconds;
using profiles::with_thousands;

std::string whole(double value) { return with_thousands(static_cast<std::int64_t>(value)); }

std::string range_text(const planner::Range& range) {
  return whole(range.low) + " to " + whole(range.high);
}

std::string demand_text(const Demand& demand) {
  switch (demand.kind) {
    case Demand::Kind::Users:
      return with_thousands(demand.count);
    case Demand::Kind::Most:
      return "max";
    case Demand::Kind::Batch:
      return "batch " + with_thousands(demand.count);
  }
  return "";
}

json demand_json(const Demand& demand) {
  if (demand.kind == Demand::Kind::Batch) return {{"batch", demand.count}};
  if (demand.kind == Demand::Kind::Most) return {{"concurrency", "max"}};
  return {{"concurrency", demand.count}, {"length_spread", demand.spread}};
}

json step_json(const StepTime& t) {
  return {{"step_seconds", t.sum().count()},
          {"matrices_seconds", t.matrices.count()},
          {"attention_seconds", t.attention.count()},
          {"communication_seconds", t.communication.count()},
          {"pipeline_seconds", t.pipeline.count()},
          {"host_seconds", t.host.count()}};
}

json figures_json(const ServingPlan& plan) {
  const auto& p = plan.prediction;
  const auto& range = p.intervals;
  return {{"ttft_seconds", p.service.ttft.count()},
          {"ttft_seconds_low", range.ttft_seconds.low},
          {"ttft_seconds_high", range.ttft_seconds.high},
          {"ttft_p50_seconds", p.service.ttft_percentiles.p50.count()},
          {"ttft_p99_seconds", p.service.ttft_percentiles.p99.count()},
          {"tpot_seconds", p.service.tpot.count()},
          {"tpot_seconds_low", range.tpot_seconds.low},
          {"tpot_seconds_high", range.tpot_seconds.high},
          {"tpot_p50_seconds", p.service.tpot_percentiles.p50.count()},
          {"tpot_p99_seconds", p.service.tpot_percentiles.p99.count()},
          {"tokens_per_second", p.tokens_per_second},
          {"tokens_per_second_low", range.tokens_per_second.low},
          {"tokens_per_second_high", range.tokens_per_second.high},
          {"tokens_per_second_per_device", p.tokens_per_second_per_device},
          {"tokens_per_second_per_user", p.tokens_per_second_per_user}};
}

json plan_json(const ServingPlan& plan) {
  const auto& p = plan.prediction;
  json stages = json::array();
  for (const auto& m : p.memory) {
    stages.push_back({{"weights_bytes", m.weights.count},
                      {"step_bytes", m.step.count},
                      {"context_bytes", m.context.count},
                      {"cache_bytes", m.cache.count},
                      {"cache_bytes_per_token", m.cache_per_token.count}});
  }
  json prediction = figures_json(plan);
  prediction["mean_decoding_requests"] = p.service.decoding;
  prediction["preemptions"] = p.service.preempted;
  prediction["decode_step"] = step_json(p.decode_step);
  prediction["prompt_step"] = step_json(p.prompt_step);
  prediction["memory"] = {{"cached_tokens", p.room.tokens},
                          {"longest_context", p.room.longest_context()},
                          {"stages", stages}};
  return {{"layout", planner::text(plan.layout, false)},
          {"fits", p.fits},
          {"demand", demand_json(plan.demand)},
          {"prediction", prediction}};
}

}  // namespace

std::string serving_question_text(const planner::Problem& problem, const profiles::Engine& engine) {
  const auto& cluster = problem.cluster;
  const auto& w = problem.workload;
  std::string out = fmt::format(
      "model     {}, {} parameters\n", problem.model.name,
      profiles::human_count(static_cast<double>(planner::parameter_count(problem.model))));
  out += cluster_line(cluster);
  out +=
      fmt::format("workload  inference, prompts of {} and answers of {} tokens, {}\n",
                  with_thousands(w.prompt), with_thousands(w.output), profiles::name(w.data_type));
  out += fmt::format("profile   {}; {} habits\n", problem.profile.name, engine.name);
  for (const std::string& key : cluster.assumed) out += fmt::format("assumed   {}\n", key);
  return out;
}

std::string serving_plans_text(const planner::Problem& problem,
                               const planner::ServingPlans& found) {
  std::string out;
  const auto table_of = [](const std::vector<ServingPlan>& plans, const char* title) {
    Table table({{title, Table::Align::Left},
                 {"users"},
                 {"tokens/s"},
                 {"80% interval"},
                 {"a device"},
                 {"a user"},
                 {"TTFT"},
                 {"p99"},
                 {"TPOT"},
                 {"p99"},
                 {"decoding"},
                 {"cache tokens"}});
    for (const ServingPlan& plan : plans) {
      const auto& p = plan.prediction;
      table.add({planner::text(plan.layout, false), demand_text(plan.demand),
                 whole(p.tokens_per_second), range_text(p.intervals.tokens_per_second),
                 whole(p.tokens_per_second_per_device),
                 fmt::format("{:.1f}", p.tokens_per_second_per_user), human(p.service.ttft),
                 human(p.service.ttft_percentiles.p99), human(p.service.tpot),
                 human(p.service.tpot_percentiles.p99), fmt::format("{:.0f}", p.service.decoding),
                 with_thousands(p.room.tokens)});
    }
    return table.text();
  };
  if (found.plans.empty()) {
    out += fmt::format("Nothing serves this on {}.\n", problem.cluster.name);
  } else {
    out += table_of(found.plans, "best layouts");
    out += "\nThe most tokens a device for each speed that a user sees:\n" +
           table_of(found.frontier, "frontier");
  }
  out += fmt::format("\n{} layouts, {} predictions\n", with_thousands(found.candidates),
                     with_thousands(found.predictions));
  std::string fell;
  for (const auto& [reason, count] : found.rejected) {
    fell += fmt::format("{}{} {}", fell.empty() ? "" : ", ", with_thousands(count), reason);
  }
  if (!fell.empty()) out += "rejected: " + fell + "\n";
  return out;
}

std::string serving_plan_text(const ServingPlan& plan) {
  const auto& p = plan.prediction;
  std::string out = styled(planner::text(plan.layout, false), Style::Bold) + "\n";
  if (p.fits) {
    out += fmt::format("{} tokens/s, {} a device, {:.1f} a user; TTFT {}, TPOT {}\n",
                       whole(p.tokens_per_second), whole(p.tokens_per_second_per_device),
                       p.tokens_per_second_per_user, human(p.service.ttft), human(p.service.tpot));
    const auto seconds = [](double value) { return human(Seconds{value}); };
    const auto& range = p.intervals;
    Table users({{"what users see", Table::Align::Left},
                 {"mean"},
                 {"80% interval", Table::Align::Left},
                 {"p50"},
                 {"p99"}});
    const auto latency = [&](const char* name, Seconds mean, const planner::Range& r,
                             const planner::Percentiles& of) {
      users.add({name, human(mean), seconds(r.low) + " to " + seconds(r.high), human(of.p50),
                 human(of.p99)});
    };
    latency("TTFT", p.service.ttft, range.ttft_seconds, p.service.ttft_percentiles);
    latency("TPOT", p.service.tpot, range.tpot_seconds, p.service.tpot_percentiles);
    users.add(
        {"tokens/s", whole(p.tokens_per_second), range_text(range.tokens_per_second), "", ""});
    out += "\n" + users.text() + "\n";
    out += fmt::format("{:.0f} requests decode at a time on a replica, {} preempted\n",
                       p.service.decoding, with_thousands(p.service.preempted));
  } else {
    out += styled("does not fit: no room for the cache of one request", Style::Red) + "\n";
  }
  Table steps({{"where a step goes", Table::Align::Left}, {"decoding"}, {"one prompt"}});
  const auto row = [&](const char* name, Seconds decode, Seconds prompt) {
    steps.add({name, human(decode), human(prompt)});
  };
  const StepTime& d = p.decode_step;
  const StepTime& q = p.prompt_step;
  row("products with weights", d.matrices, q.matrices);
  row("attention", d.attention, q.attention);
  row("communication", d.communication, q.communication);
  row("stages that wait", d.pipeline, q.pipeline);
  row("host", d.host, q.host);
  steps.add({"step", human(d.sum()), human(q.sum())}, Style::Bold);
  out += "\n" + steps.text();

  Table memory({{"stage"}, {"weights"}, {"a full step"}, {"outside"}, {"cache"}, {"tokens"}});
  for (std::size_t s = 0; s < p.memory.size(); ++s) {
    const auto& m = p.memory[s];
    memory.add({std::to_string(s), human(m.weights), human(m.step), human(m.context),
                human(m.cache), with_thousands(m.cached_tokens())});
  }
  out += "\n" + memory.text();
  out += fmt::format("longest context that fits: {} tokens\n",
                     with_thousands(p.room.longest_context()));
  return out;
}

json serving_json(const planner::Problem& problem, const profiles::Engine& engine,
                  const planner::ServingPlans& found) {
  json plans = json::array();
  for (const ServingPlan& plan : found.plans) plans.push_back(plan_json(plan));
  json out = {{"schema", "meshplan.serving/1"},
              {"model",
               {{"name", problem.model.name},
                {"parameters", planner::parameter_count(problem.model)},
                {"config", json::parse(problem.model_config)}}},
              {"cluster", profiles::cluster_json(problem.cluster)},
              {"workload",
               {{"kind", "inference"},
                {"prompt", problem.workload.prompt},
                {"output", problem.workload.output},
                {"dtype", profiles::name(problem.workload.data_type)}}},
              {"profile",
               {{"name", problem.profile.name},
                {"sha256", problem.profile.sha256},
                {"provenance", problem.profile.provenance}}},
              {"engine", engine.name},
              {"plans", plans}};
  if (found.candidates > 0) {
    json frontier = json::array();
    for (const ServingPlan& plan : found.frontier) {
      json point = figures_json(plan);
      point["layout"] = planner::text(plan.layout, false);
      point["demand"] = demand_json(plan.demand);
      frontier.push_back(point);
    }
    out["frontier"] = frontier;
    out["search"] = {{"exact", true},
                     {"candidates", found.candidates},
                     {"predictions", found.predictions},
                     {"seconds", found.seconds},
                     {"rejected", found.rejected}};
  }
  return out;
}

}  // namespace meshplan::cli
