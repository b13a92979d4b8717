#include "cli/plan_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/error_text.h"
#include "cli/table.h"
#include "planner/layout/layout_text.h"
#include "planner/model/flops.h"
#include "planner/model/parameters.h"
#include "planner/search/search.h"
#include "planner/simulate/named_term.h"
#include "planner/uncertainty.h"
#include "profiles/number_format.h"

namespace meshplan::cli {
namespace {

using planner::Plan;
using planner::Problem;
using profiles::Bytes;
using profiles::human;
using profiles::Seconds;
using profiles::with_thousands;

std::string percent(double fraction) { return fmt::format("{:.1f}%", 100 * fraction); }

std::string share(Seconds part, Seconds whole) { return percent(part / whole); }

bool training(const Problem& problem) {
  return problem.workload.kind == planner::Workload::Kind::Training;
}

/// Communication of every axis together.
Seconds communication(const planner::Terms& t) { return t.tp + t.cp + t.ep + t.dp + t.pp; }

/// "E4 4H": layers of each chunk, with the embedding and the head.
std::string layers_text(const planner::StageLayers& stage) {
  std::string out;
  for (const auto& chunk : stage.chunks) {
    if (!out.empty()) out += " ";
    if (chunk.embedding) out += "E";
    out += std::to_string(chunk.layers);
    if (chunk.head) out += "H";
  }
  return out;
}

/// What each stage holds and how long it works. Neighbours that are alike share a line; of what is
/// then still long, the ends and the fullest stage are shown.
std::string stage_table(const Problem& problem, const Plan& plan) {
  Table table({{"stage"},
               {"layers", Table::Align::Left},
               {"busy"},
               {"weights"},
               {"gradients"},
               {"optimizer"},
               {"activations"},
               {"loss"},
               {"buffers"},
               {"outside"},
               {"peak"},
               {"free"}});
  struct Line {
    std::size_t first, last;
    std::vector<std::string> cells;
    Bytes peak;
  };
  const auto& p = plan.prediction;
  std::vector<Line> lines;
  for (std::size_t s = 0; s < p.memory.size(); ++s) {
    const auto& m = p.memory[s];
    const Bytes outside = m.workspace + m.fragmentation + m.context + m.communicators;
    std::vector<std::string> cells = {layers_text(plan.stages[s]),
                                      share(p.busy[s], p.step),
                                      human(m.weights),
                                      human(m.gradients),
                                      human(m.optimizer),
                                      human(m.activations),
                                      human(m.loss),
                                      human(m.buffers),
                                      human(outside),
                                      human(m.device()),
                                      human(p.capacity - m.device())};
    if (!lines.empty() && lines.back().cells == cells) {
      lines.back().last = s;
    } else {
      lines.push_back({s, s, std::move(cells), m.device()});
    }
  }
  constexpr std::size_t kShown = 16, kEnds = 4;
  const auto fullest = std::max_element(
      lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.peak < b.peak; });
  bool skipped = false;
  for (auto line = lines.begin(); line != lines.end(); ++line) {
    const auto at = static_cast<std::size_t>(line - lines.begin());
    const bool end = at < kEnds || at + kEnds >= lines.size();
    if (lines.size() > kShown && !end && line != fullest) {
      if (!skipped) table.add({"..."});
      skipped = true;
      continue;
    }
    skipped = false;
    const std::string stage = std::to_string(line->first);
    line->cells.insert(line->cells.begin(), line->first == line->last
                                                ? stage
                                                : stage + "-" + std::to_string(line->last));
    table.add(line->cells, line->peak > problem.memory_limit() ? Style::Red : Style::Plain);
  }
  return table.text();
}

/// MFU counts attention in full, as published figures do; a causal model needs half of that. Said
/// where sequences are so long that it matters.
std::string mfu_note(const Problem& problem, const Plan& plan) {
  constexpr double kWorthSaying = 0.8;
  const auto flops = [&](planner::AttentionConvention convention) {
    return planner::model_flops_per_sequence(problem.model, problem.workload.seq_len, convention)
        .count;
  };
  const double needed =
      flops(planner::AttentionConvention::Causal) / flops(planner::AttentionConvention::Full);
  if (needed >= kWorthSaying) return "";
  return fmt::format(
      "MFU counts attention in full, as is usual; with only what the mask leaves: {}\n",
      percent(needed * plan.prediction.mfu));
}

/// One line a plan. Of several each is held against the first: how much slower, and how likely a
/// run agrees which of the two is faster.
std::string ranking_text(const Problem& problem, const std::vector<Plan>& plans) {
  const bool several = plans.size() > 1;
  std::vector<Table::Column> columns = {{"#"}, {"layout", Table::Align::Left}, {"step"}};
  if (several) columns.insert(columns.end(), {{"vs #1"}, {"sure"}});
  columns.insert(columns.end(), {{"tokens/s"},
                                 {"MFU"},
                                 {"compute"},
                                 {"comm."},
                                 {"bubble"},
                                 {"other"},
                                 {"memory"},
                                 {"limited by", Table::Align::Left}});
  Table table(columns);
  const Plan& best = plans.front();
  int rank = 0;
  for (const Plan& plan : plans) {
    const auto& p = plan.prediction;
    const auto& t = p.terms;
    std::vector<std::string> cells = {std::to_string(++rank),
                                      planner::text(plan.layout, training(problem)), human(p.step)};
    if (several && rank == 1) cells.insert(cells.end(), {"", ""});
    if (several && rank > 1) {
      const double sure =
          planner::order_chance(problem, plan.layout, p, best.layout, best.prediction);
      cells.push_back(signed_percent(p.step / best.prediction.step - 1));
      cells.push_back(fmt::format("{:.0f}%", 100 * sure));
    }
    cells.insert(cells.end(),
                 {profiles::with_thousands(static_cast<std::int64_t>(p.tokens_per_second)),
                  percent(p.mfu), share(t.compute, p.step), share(communication(t), p.step),
                  share(t.bubble, p.step), share(t.optimizer + t.overhead, p.step),
                  human(planner::peak_bytes(p.memory)), plan.limited_by});
    table.add(cells, rank == 1 ? Style::Green : Style::Plain);
  }
  std::string out = table.text();
  const bool one_kind = std::all_of(plans.begin(), plans.end(), [&](const Plan& plan) {
    return planner::degree_key(plan.layout) == planner::degree_key(best.layout);
  });
  if (several && one_kind) {
    out += "all have the same degrees: --distinct degrees lists the best of other degrees too\n";
  }
  return out;
}

}  // namespace

std::string cluster_line(const profiles::Cluster& cluster) {
  return fmt::format("cluster   {}, {} x {} {} ({} device{})\n", cluster.name, cluster.nodes,
                     cluster.devices_used_per_node, cluster.device.id,
                     with_thousands(cluster.devices()), cluster.devices() == 1 ? "" : "s");
}

std::string question_text(const Problem& problem) {
  const auto& cluster = problem.cluster;
  const auto parameters = static_cast<double>(planner::parameter_count(problem.model));
  std::string out = fmt::format("model     {}, {} parameters\n", problem.model.name,
                                profiles::human_count(parameters));
  out += cluster_line(cluster);
  const auto& w = problem.workload;
  out += fmt::format("workload  training, {} sequences of {} tokens a step, {}, {}\n",
                     with_thousands(w.global_batch), with_thousands(w.seq_len),
                     profiles::name(w.data_type), planner::name(w.optimizer));
  out += fmt::format("profile   {}; {} habits\n", problem.profile.name, problem.framework.name);
  for (const std::string& key : cluster.assumed) {
    out += fmt::format("assumed   {}\n", key);
  }
  return out;
}

std::string plans_text(const Problem& problem, const planner::PlanResult& result) {
  std::string out;
  if (!result.plans.empty()) {
    out += ranking_text(problem, result.plans);
  }
  if (result.nearest_miss) {
    const auto& miss = *result.nearest_miss;
    out += fmt::format("Nothing fits. Nearest: {}, {} too large for {}.\n",
                       planner::text(miss.plan.layout, training(problem)), human(miss.missing),
                       human(problem.memory_limit()));
    if (!miss.cheapest_knob.empty()) out += fmt::format("Cheapest mend: {}.\n", miss.cheapest_knob);
  } else if (result.search && result.plans.empty()) {
    out += result.search->candidates == 0
               ? fmt::format("No layout of {} devices and {} layers has what --fix asks for.\n",
                             problem.cluster.devices(), problem.model.layers)
               : "No layout is left; the reasons stand below.\n";
  }
  if (result.search) {
    const auto& s = *result.search;
    out += fmt::format("\n{} layouts, {} legal and fitting, {} simulated, {} ({})\n",
                       with_thousands(s.candidates), with_thousands(s.feasible),
                       with_thousands(s.simulated), human(Seconds{s.seconds}),
                       s.exact ? "exact: the rest is provably no better" : "not exact");
    if (!result.plans.empty()) {
      out += fmt::format("no layout can beat {}; the best takes {:.2f} times that\n",
                         human(s.lower_bound), 1 + s.optimality_gap);
    }
    std::vector<std::pair<std::int64_t, std::string>> reasons;
    for (const auto& [reason, count] : s.rejected) reasons.emplace_back(count, reason);
    std::sort(reasons.rbegin(), reasons.rend());
    std::string fell;
    for (const auto& [count, reason] : reasons) {
      fell += fmt::format("{}{} {}", fell.empty() ? "" : ", ", with_thousands(count), reason);
    }
    if (!fell.empty()) out += "rejected: " + fell + "\n";
  }
  return out;
}

std::string plan_text(const Problem& problem, const Plan& plan) {
  const auto& p = plan.prediction;
  const auto& t = p.terms;
  std::string out =
      fmt::format("{}\n", styled(planner::text(plan.layout, training(problem)), Style::Bold));
  out += fmt::format("step {} (80% interval {} to {}), {} tokens/s, MFU {}, {}\n", human(p.step),
                     human(p.step_low), human(p.step_high),
                     with_thousands(static_cast<std::int64_t>(p.tokens_per_second)), percent(p.mfu),
                     plan.fits ? "fits" : styled("does not fit", Style::Red));
  out += mfu_note(problem, plan) + "\n";
  Table time({{"where the step goes", Table::Align::Left}, {"time"}, {"share"}});
  for (const planner::NamedTerm& term : planner::kTerms) {
    const Seconds seconds = t.*term.value;
    if (seconds > Seconds{0} || term.value == &planner::Terms::compute) {
      time.add({std::string(term.words), human(seconds), share(seconds, p.step)});
    }
  }
  time.add({fmt::format("step (stage {})", p.terms_stage), human(p.step), "100.0%"}, Style::Bold);
  out += time.text();

  out += "\nstages, and memory of " + human(p.capacity) + " per device\n";
  return out + stage_table(problem, plan);
}

}  // namespace meshplan::cli
