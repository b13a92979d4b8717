#include "cli/served_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/error_text.h"
#include "cli/serving_report.h"
#include "cli/table.h"
#include "planner/layout/layout_text.h"
#include "planner/layout/rank_place.h"
#include "profiles/number_format.h"

namespace meshplan::cli {
namespace {

using nlohmann::ordered_json;
using planner::ServingStep;
using planner::StepTime;
using profiles::Bytes;
using profiles::human;
using profiles::Seconds;
using profiles::with_thousands;

/// A part of a step under its names: in the table, and in JSON as plans have it.
struct NamedPart {
  const char* words;
  const char* key;
  Seconds StepTime::*member;
};
constexpr NamedPart kParts[] = {
    {"products with weights", "matrices_seconds", &StepTime::matrices},
    {"attention", "attention_seconds", &StepTime::attention},
    {"communication", "communication_seconds", &StepTime::communication},
    {"stages that wait", "pipeline_seconds", &StepTime::pipeline},
    {"host", "host_seconds", &StepTime::host},
};

bool decodes_only(const ServingStep& step) { return step.totals.prompt_tokens == 0; }

/// The mean over the steps that read prompts, or over those that do not.
StepTime mean(const ServedReport& report, const std::vector<StepTime>& times, bool decoding) {
  StepTime out;
  double count = 0;
  for (std::size_t s = 0; s < times.size(); ++s) {
    if (decodes_only(report.schedule.steps[s]) != decoding) continue;
    count += 1;
    for (const NamedPart& part : kParts) out.*part.member += times[s].*part.member;
  }
  if (count > 0) {
    for (const NamedPart& part : kParts) out.*part.member /= count;
  }
  return out;
}

std::string users_table(const ServedReport& report) {
  const planner::Service& p = report.predicted;
  const planner::Service& m = report.measured.service;
  const double replicas = report.layout.dp;
  Table table({{"what users see", Table::Align::Left}, {"predicted"}, {"measured"}, {"error"}});
  const auto row = [&](const char* what, Seconds predicted, Seconds measured) {
    table.add({what, human(predicted), human(measured), error_text(predicted, measured)});
  };
  row("time to the first token", p.ttft, m.ttft);
  row("time per output token", p.tpot, m.tpot);
  const auto rate = [&](double one) { return fmt::format("{:.1f}", replicas * one); };
  table.add({"tokens per second", rate(p.tokens_per_second), rate(m.tokens_per_second),
             error_text(p.tokens_per_second, m.tokens_per_second)});
  row("all requests", p.duration, m.duration);
  return table.text();
}

std::string steps_table(const ServedReport& report) {
  Table table({{"where a step goes", Table::Align::Left},
               {"decoding"},
               {"measured"},
               {"error"},
               {"prompts"},
               {"measured"},
               {"error"},
               {"", Table::Align::Left}});
  const StepTime decode = mean(report, report.prices, true);
  const StepTime decoded = mean(report, report.measured.steps, true);
  const StepTime prompt = mean(report, report.prices, false);
  const StepTime prompted = mean(report, report.measured.steps, false);
  const auto row = [&](const char* what, auto value, Style style, bool modelled) {
    table.add(
        {what, human(value(decode)), human(value(decoded)),
         error_text(value(decode), value(decoded)), human(value(prompt)), human(value(prompted)),
         error_text(value(prompt), value(prompted)), modelled ? "modelled" : ""},
        style);
  };
  for (const NamedPart& part : kParts) {
    const bool modelled =
        report.measured.mode == runtime::Mode::Replay && prompt.*part.member > Seconds{0} &&
        (part.member == &StepTime::communication || part.member == &StepTime::pipeline);
    row(
        part.words, [&](const StepTime& t) { return t.*part.member; }, Style::Plain, modelled);
  }
  row(
      "step", [](const StepTime& t) { return t.sum(); }, Style::Bold, false);
  const auto decoding =
      std::count_if(report.schedule.steps.begin(), report.schedule.steps.end(), decodes_only);
  const auto all = static_cast<std::int64_t>(report.schedule.steps.size());
  return table.text() + fmt::format("means of {} steps that decode and {} that read prompts\n",
                                    with_thousands(decoding), with_thousands(all - decoding));
}

const planner::ServingMemory& memory_of_rank(const ServedReport& report, std::size_t rank) {
  const int stage = planner::place_of(report.layout, static_cast<int>(rank)).pp;
  return report.predicted_memory[static_cast<std::size_t>(stage)];
}

std::string memory_table(const ServedReport& report) {
  Table table({{"rank"},
               {"weights"},
               {"measured"},
               {"error"},
               {"cache"},
               {"measured"},
               {"error"},
               {"buffers"},
               {"measured"}});
  const auto& memory = report.measured.memory;
  for (std::size_t r = 0; r < memory.size(); ++r) {
    const planner::ServingMemory& p = memory_of_rank(report, r);
    const runtime::ServedMemory& m = memory[r];
    table.add({std::to_string(r), human(p.weights), human(m.weights),
               error_text(p.weights, m.weights), human(p.cache), human(m.cache),
               error_text(p.cache, m.cache), human(p.step), human(m.peak - m.weights - m.cache)});
  }
  return table.text();
}

std::string check_text(const ServedReport& report) {
  std::int64_t tokens = 0;
  for (const auto& answer : report.answers) tokens += static_cast<std::int64_t>(answer.size());
  std::string out = fmt::format("{} tokens in {} answers", with_thousands(tokens),
                                with_thousands(static_cast<std::int64_t>(report.answers.size())));
  if (!report.check) return out + "\n";
  const runtime::AnswerComparison& check = *report.check;
  if (check.difference) {
    return out + "; one rank alone differs: " + difference_text(*check.difference) + "\n";
  }
  out +=
      fmt::format("; one rank alone gives the same, logits within {:.1e}", check.logit_difference);
  if (check.near_ties > 0) {
    out += fmt::format(
        " ({} answers part where two words are equally likely; {} tokens were compared)",
        check.near_ties, with_thousands(check.tokens));
  }
  return out + "\n";
}

ordered_json step_json(const StepTime& step) {
  ordered_json out;
  out["step_seconds"] = step.sum().count();
  for (const NamedPart& part : kParts) out[part.key] = (step.*part.member).count();
  return out;
}

ordered_json side_json(const ServedReport& report, const planner::Service& service,
                       const std::vector<StepTime>& steps) {
  ordered_json out;
  out["ttft_seconds"] = service.ttft.count();
  out["tpot_seconds"] = service.tpot.count();
  out["tokens_per_second"] = report.layout.dp * service.tokens_per_second;
  out["duration_seconds"] = service.duration.count();
  out["decode_step"] = step_json(mean(report, steps, true));
  out["prompt_step"] = step_json(mean(report, steps, false));
  return out;
}

ordered_json generated_json(const runtime::GeneratedToken& token) {
  return {{"token", token.token},
          {"logit", token.logit},
          {"runner_up", token.runner_up},
          {"runner_up_logit", token.runner_up_logit}};
}

ordered_json check_json(const runtime::AnswerComparison& check) {
  ordered_json out = {{"same_tokens", check.tokens},
                      {"logit_difference", check.logit_difference},
                      {"near_ties", check.near_ties}};
  if (const auto& d = check.difference) {
    out["first_difference"] = {{"request", d->request},
                               {"token", d->token},
                               {"expected", generated_json(d->expected)},
                               {"found", generated_json(d->found)}};
  }
  return out;
}

}  // namespace

std::string difference_text(const runtime::AnswerDifference& d) {
  return fmt::format("request {}, token {}: word {} (logit {:.6g}) where one rank has {} ({:.6g})",
                     d.request, d.token, d.found.token, d.found.logit, d.expected.token,
                     d.expected.logit);
}

std::string served_text(const planner::Problem& problem, const profiles::Engine& engine,
                        const ServedReport& report) {
  const runtime::ServingMeasurement& m = report.measured;
  std::string out = serving_question_text(problem, engine);
  const bool replayed = m.mode == runtime::Mode::Replay;
  out += fmt::format("ran       {} ranks on {}, {}: {}\n\n", m.ranks, report.device, name(m.mode),
                     replayed ? "one after the other; steps are put together, communication is "
                                "modelled"
                              : "all at once, everything measured");
  out += styled(planner::text(report.layout, false), Style::Bold) + "\n";
  return out + users_table(report) + "\n" + steps_table(report) + "\nmemory by rank\n" +
         memory_table(report) + "\n" + check_text(report);
}

ordered_json served_json(const planner::Problem& problem, const profiles::Engine& engine,
                         const ServedReport& report, bool whole) {
  const runtime::ServingMeasurement& m = report.measured;
  ordered_json out;
  out["schema"] = "meshplan.served/1";
  out["model"] = problem.model.name;
  out["layout"] = planner::text(report.layout, false);
  out["engine"] = engine.name;
  out["device"] = report.device;
  out["profile"] = {{"name", problem.profile.name},
                    {"sha256", problem.profile.sha256},
                    {"provenance", problem.profile.provenance}};
  out["mode"] = name(m.mode);
  out["communication"] = m.mode == runtime::Mode::Replay ? "modelled" : "measured";
  out["ranks"] = m.ranks;
  out["requests"] = report.answers.size();
  out["steps"] = report.schedule.steps.size();
  out["warm_up_rounds"] = m.warm_up;
  out["rounds_seconds"] = ordered_json::array();
  for (const Seconds round : m.rounds) out["rounds_seconds"].push_back(round.count());
  out["predicted"] = side_json(report, report.predicted, report.prices);
  out["measured"] = side_json(report, m.service, m.steps);
  out["error"] = report.error();
  out["memory"] = ordered_json::array();
  for (std::size_t r = 0; r < m.memory.size(); ++r) {
    const planner::ServingMemory& p = memory_of_rank(report, r);
    const auto side = [](Bytes weights, Bytes cache, Bytes buffers) {
      return ordered_json{{"weights_bytes", weights.count},
                          {"cache_bytes", cache.count},
                          {"buffer_bytes", buffers.count}};
    };
    out["memory"].push_back(
        {{"rank", r},
         {"predicted", side(p.weights, p.cache, p.step)},
         {"measured", side(m.memory[r].weights, m.memory[r].cache,
                           m.memory[r].peak - m.memory[r].weights - m.memory[r].cache)}});
  }
  if (report.check) out["one_rank"] = check_json(*report.check);
  if (!whole) return out;
  out["each_step"] = ordered_json::array();
  for (std::size_t s = 0; s < m.steps.size(); ++s) {
    const planner::Step& totals = report.schedule.steps[s].totals;
    out["each_step"].push_back({{"decoding", totals.decoding},
                                {"cached_tokens", totals.cached},
                                {"prompt_tokens", totals.prompt_tokens},
                                {"predicted", step_json(report.prices[s])},
                                {"measured", step_json(m.steps[s])}});
  }
  out["answers"] = ordered_json::array();
  for (const auto& answer : report.answers) {
    ordered_json tokens = ordered_json::array();
    for (const runtime::GeneratedToken& token : answer) tokens.push_back(token.token);
    out["answers"].push_back(tokens);
  }
  return out;
}

}  // namespace meshplan::cli
