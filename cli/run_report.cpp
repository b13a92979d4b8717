#include "cli/run_report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/collective_lines.h"
#include "cli/error_text.h"
#include "cli/plan_report.h"
#include "cli/table.h"
#include "planner/layout/layout_text.h"
#include "planner/layout/rank_place.h"
#include "planner/simulate/named_term.h"
#include "profiles/number_format.h"

namespace meshplan::cli {
namespace {

using planner::kTerms;
using planner::NamedTerm;
using planner::Terms;
using profiles::Bytes;
using profiles::human;
using profiles::Seconds;

nlohmann::ordered_json time_json(const Terms& terms) {
  nlohmann::ordered_json out;
  for (const NamedTerm& term : kTerms) out[std::string(term.key)] = (terms.*term.value).count();
  return out;
}

std::string time_table(const RunReport& report) {
  const runtime::Measurement& m = report.measured;
  Table table({{"where the step goes", Table::Align::Left},
               {"predicted"},
               {"measured"},
               {"error"},
               {"", Table::Align::Left}});
  for (const NamedTerm& term : kTerms) {
    const Seconds predicted = report.predicted.terms.*term.value, measured = m.terms.*term.value;
    const bool always = term.value == &Terms::compute;
    if (!always && predicted == Seconds{0} && measured == Seconds{0}) continue;
    const bool modelled = m.mode == runtime::Mode::Replay && term.value != &Terms::compute &&
                          term.value != &Terms::optimizer;
    table.add({std::string(term.words), human(predicted), human(measured),
               error_text(predicted, measured), modelled ? "modelled" : ""});
  }
  table.add({"step", human(report.predicted.step), human(m.step), signed_percent(report.error())},
            Style::Bold);
  std::string out = table.text();
  if (m.steps.size() > 1) {
    out += fmt::format("{} steps took {} to {}; the median stands\n", m.steps.size(),
                       human(m.least()), human(m.most()));
  }
  return out;
}

std::string memory_table(const RunReport& report) {
  Table table({{"rank"},
               {"stage"},
               {"predicted"},
               {"measured"},
               {"error"},
               {"states"},
               {"activations"},
               {"rest"}});
  const auto& memory = report.measured.memory;
  // Many ranks are shown by their ends.
  constexpr std::size_t kShown = 16, kEnd = 4;
  for (std::size_t r = 0; r < memory.size(); ++r) {
    if (memory.size() > kShown && r >= kEnd && r + kEnd < memory.size()) continue;
    using runtime::MemoryTerm;
    const runtime::MemoryUse& use = memory[r].at_peak;
    const Bytes predicted = report.memory_of_rank(static_cast<int>(r)).allocated();
    const Bytes states =
        use[MemoryTerm::Weights] + use[MemoryTerm::Gradients] + use[MemoryTerm::Optimizer];
    const Bytes rest = use[MemoryTerm::Workspace] + use[MemoryTerm::Communication];
    const int stage = planner::place_of(report.layout, static_cast<int>(r)).pp;
    table.add({std::to_string(r), std::to_string(stage), human(predicted), human(use.total()),
               error_text(predicted, use.total()), human(states),
               human(use[MemoryTerm::Activations]), human(rest)});
  }
  return "peak memory by rank\n" + table.text();
}

std::vector<CollectiveLine> collectives_of(const planner::Problem& problem,
                                           const RunReport& report) {
  const runtime::Measurement& m = report.measured;
  if (m.mode != runtime::Mode::Parallel) return {};  // not what NCCL does between devices
  return collective_lines(m.collectives, static_cast<int>(m.losses.size()), report.layout,
                          problem.cluster);
}

/// "3, 7, 11": without repeats.
std::string listed(std::vector<int> numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return fmt::format("{}", fmt::join(numbers, ", "));
}

/// How the ranks ran.
std::string mode_text(const runtime::Measurement& m) {
  if (m.mode != runtime::Mode::Replay) return "all at once, everything measured";
  constexpr const char* kAssembled = "the timeline is put together, communication is modelled";
  if (!m.executed) return fmt::format("one after the other; {}", kAssembled);
  const runtime::Executed& ran = *m.executed;
  return fmt::format(
      "ranks {} without each other, {} of {} micro-batches a step; what is like them was not run; "
      "{}",
      listed(ran.ranks), ran.microbatches, ran.of_microbatches, kAssembled);
}

std::string loss_text(const runtime::Measurement& m) {
  if (m.losses.empty()) return "loss not computed: the ranks ran without each other\n";
  std::string out = "loss";
  for (const double loss : m.losses) out += fmt::format(" {:.4f}", loss);
  return out + (m.executed ? " of one step of all ranks, one after the other\n" : "\n");
}

std::string check_text(const RunReport& report) {
  if (!report.check) return "";
  return fmt::format("one rank alone: first loss {:.6f}, relative difference {:.1e}\n",
                     report.check->loss, report.check->relative_difference);
}

}  // namespace

const planner::StageMemory& RunReport::memory_of_rank(int rank) const {
  return predicted_memory[static_cast<std::size_t>(planner::place_of(layout, rank).pp)];
}

std::string run_text(const planner::Problem& problem, const RunReport& report) {
  const runtime::Measurement& m = report.measured;
  std::string out = question_text(problem);
  out += fmt::format("ran       {} ranks on {}, {}: {}\n\n", m.ranks, m.device, name(m.mode),
                     mode_text(m));
  if (!m.remark.empty()) {
    out.pop_back();
    out += fmt::format("computed  {}\n\n", m.remark);
  }
  out += styled(planner::text(report.layout), Style::Bold) + "\n";
  out += time_table(report) + "\n";
  if (const std::string lines = collective_table(collectives_of(problem, report)); !lines.empty()) {
    out += lines + "\n";
  }
  out += memory_table(report) + "\n";
  return out + loss_text(m) + check_text(report);
}

nlohmann::ordered_json run_json(const planner::Problem& problem, const RunReport& report) {
  const runtime::Measurement& m = report.measured;
  nlohmann::ordered_json out;
  out["model"] = problem.model.name;
  out["layout"] = planner::text(report.layout);
  out["device"] = m.device;
  if (!m.remark.empty()) out["remark"] = m.remark;
  out["profile"] = {{"name", problem.profile.name},
                    {"sha256", problem.profile.sha256},
                    {"provenance", problem.profile.provenance}};
  out["mode"] = name(m.mode);
  out["communication"] = m.mode == runtime::Mode::Replay ? "modelled" : "measured";
  out["ranks"] = m.ranks;
  out["steps"] = report.steps;
  out["warm_up_steps"] = m.warm_up;
  out["predicted"] = {{"step_seconds", report.predicted.step.count()},
                      {"time", time_json(report.predicted.terms)}};
  out["measured"] = {{"step_seconds", m.step.count()},
                     {"step_seconds_low", m.least().count()},
                     {"step_seconds_high", m.most().count()},
                     {"time", time_json(m.terms)}};
  out["error"] = report.error();
  if (const auto lines = collectives_of(problem, report); !lines.empty()) {
    out["collectives"] = collective_json(lines);
  }
  out["memory"] = nlohmann::ordered_json::array();
  for (int r = 0; r < m.ranks; ++r) {
    const auto predicted = report.memory_of_rank(r).allocated().count;
    const auto measured = m.memory[static_cast<std::size_t>(r)].at_peak.total().count;
    out["memory"].push_back(
        {{"rank", r},
         {"stage", planner::place_of(report.layout, r).pp},
         {"predicted_bytes", predicted},
         {"measured_bytes", measured},
         {"error", static_cast<double>(predicted) / static_cast<double>(measured) - 1}});
  }
  out["loss"] = m.losses;
  if (m.executed) {
    out["executed"] = {{"ranks", m.executed->ranks},
                       {"micro_batches", m.executed->microbatches},
                       {"of_micro_batches", m.executed->of_microbatches}};
  }
  if (report.check) {
    out["one_rank"] = {{"loss", report.check->loss},
                       {"relative_difference", report.check->relative_difference}};
  }
  return out;
}

}  // namespace meshplan::cli
