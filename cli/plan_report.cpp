#include "cli/plan_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/table.h"
#include "planner/layout/layout_text.h"
#include "planner/model/parameters.h"
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

}  // namespace

std::string question_text(const Problem& problem) {
  const auto& cluster = problem.cluster;
  const auto parameters = static_cast<double>(planner::parameter_count(problem.model));
  std::string out = fmt::format("model     {}, {} parameters\n", problem.model.name,
                                profiles::human_count(parameters));
  out += fmt::format("cluster   {}, {} x {} {} ({} devices)\n", cluster.name, cluster.nodes,
                     cluster.devices_used_per_node, cluster.device.id,
                     with_thousands(cluster.devices()));
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
    Table table({{"#"},
                 {"layout", Table::Align::Left},
                 {"step"},
                 {"tokens/s"},
                 {"MFU"},
                 {"compute"},
                 {"comm."},
                 {"bubble"},
                 {"other"},
                 {"memory"},
                 {"limited by", Table::Align::Left}});
    int rank = 0;
    for (const Plan& plan : result.plans) {
      const auto& p = plan.prediction;
      const auto& t = p.terms;
      table.add(
          {std::to_string(++rank), planner::text(plan.layout, training(problem)), human(p.step),
           profiles::with_thousands(static_cast<std::int64_t>(p.tokens_per_second)), percent(p.mfu),
           share(t.compute, p.step), share(communication(t), p.step), share(t.bubble, p.step),
           share(t.optimizer + t.overhead, p.step), human(planner::peak_bytes(p.memory)),
           plan.limited_by},
          rank == 1 ? Style::Green : Style::Plain);
    }
    out += table.text();
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
  out += fmt::format("step {}, {} tokens/s, MFU {}, {}\n\n", human(p.step),
                     with_thousands(static_cast<std::int64_t>(p.tokens_per_second)), percent(p.mfu),
                     plan.fits ? "fits" : styled("does not fit", Style::Red));
  Table time({{"where the step goes", Table::Align::Left}, {"time"}, {"share"}});
  const std::pair<const char*, Seconds> terms[] = {{"compute", t.compute},
                                                   {"tensor-parallel comm.", t.tp},
                                                   {"context-parallel comm.", t.cp},
                                                   {"expert-parallel comm.", t.ep},
                                                   {"pipeline transfers", t.pp},
                                                   {"data-parallel comm.", t.dp},
                                                   {"optimizer", t.optimizer},
                                                   {"overhead", t.overhead},
                                                   {"bubble", t.bubble}};
  for (const auto& [name, seconds] : terms) {
    if (seconds > Seconds{0} || std::string_view(name) == "compute") {
      time.add({name, human(seconds), share(seconds, p.step)});
    }
  }
  time.add({fmt::format("step (stage {})", p.terms_stage), human(p.step), "100.0%"}, Style::Bold);
  out += time.text();

  out += fmt::format("\nmemory of {} per device\n", human(p.capacity));
  Table memory({{"stage"},
                {"layers", Table::Align::Left},
                {"weights"},
                {"gradients"},
                {"optimizer"},
                {"activations"},
                {"loss"},
                {"buffers"},
                {"outside"},
                {"peak"},
                {"free"}});
  // A long pipeline is shown by its ends and its fullest stage.
  constexpr std::size_t kShown = 16;
  for (std::size_t s = 0; s < p.memory.size(); ++s) {
    const auto& m = p.memory[s];
    const bool fullest = m.device() == planner::peak_bytes(p.memory);
    if (p.memory.size() > kShown && s >= 4 && s + 4 < p.memory.size() && !fullest) continue;
    std::string layers;
    for (const auto& chunk : plan.stages[s].chunks) {
      if (!layers.empty()) layers += " ";
      if (chunk.embedding) layers += "E";
      layers += std::to_string(chunk.layers);
      if (chunk.head) layers += "H";
    }
    const Bytes outside = m.workspace + m.fragmentation + m.context + m.communicators;
    const Bytes free = p.capacity - m.device();
    memory.add({std::to_string(s), layers, human(m.weights), human(m.gradients), human(m.optimizer),
                human(m.activations), human(m.loss), human(m.buffers), human(outside),
                human(m.device()), human(free)},
               m.device() > problem.memory_limit() ? Style::Red : Style::Plain);
  }
  out += memory.text();
  return out;
}

}  // namespace meshplan::cli
