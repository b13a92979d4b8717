#include "cli/explain_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/error_text.h"
#include "cli/table.h"
#include "planner/layout/layout_text.h"
#include "profiles/number_format.h"

namespace meshplan::cli {
namespace {

using planner::Explanation;
using profiles::Bytes;
using profiles::human;
using profiles::Seconds;

std::string signed_time(Seconds time) {
  // Sums in another order differ in the last bits.
  constexpr Seconds kNothing{1e-12};
  if (time > -kNothing && time < kNothing) return "0 s";
  return (time < Seconds{0} ? "-" : "+") + human(time < Seconds{0} ? -time : time);
}

std::string signed_size(Bytes size) {
  return (size < Bytes{0} ? "-" : "+") + human(Bytes{std::abs(size.count)});
}

std::string verdict(const Explanation& explanation) {
  const auto failing = explanation.failing.size();
  if (failing == 0) {
    return fmt::format("runs: step {}, {} at its fullest stage\n",
                       human(explanation.plan->prediction.step),
                       human(planner::peak_bytes(explanation.plan->prediction.memory)));
  }
  return styled(fmt::format("does not run: {} {}", failing,
                            failing == 1 ? "constraint fails" : "constraints fail"),
                Style::Red) +
         "\n";
}

std::string failures_text(const Explanation& explanation) {
  Table table({{"constraint", Table::Align::Left},
               {"what", Table::Align::Left},
               {"found"},
               {"needed", Table::Align::Left},
               {"by how much", Table::Align::Left}});
  for (const planner::Mending& mending : explanation.failing) {
    const planner::Failure& f = mending.failure;
    const bool memory = f.rule == planner::kOutOfMemory;
    const auto amount = [&](std::int64_t n) {
      return memory ? human(Bytes{n}) : profiles::with_thousands(n);
    };
    const std::string unit = memory ? "too many" : f.unit;
    table.add({f.rule, f.what, f.unit.empty() ? "" : amount(f.found), f.needed,
               f.missing == 0 ? "" : amount(f.missing) + " " + unit});
  }
  return table.text();
}

/// Prices in time of what mends each failure; of each the cheapest few.
std::string mends_text(const Explanation& explanation) {
  constexpr std::size_t kMostShown = 5;
  bool any = false;
  bool also = false;
  for (const planner::Mending& mending : explanation.failing) {
    for (const planner::Mend& mend : mending.mends) {
      any = true;
      also = also || !mend.also.empty();
    }
  }
  if (!any) return "";
  std::vector<Table::Column> columns = {{"what mends it", Table::Align::Left},
                                        {"knob", Table::Align::Left}};
  if (also) columns.push_back({"together with", Table::Align::Left});
  columns.push_back({"step"});
  if (explanation.plan) columns.push_back({"vs as asked"});
  if (!explanation.searched.plans.empty()) columns.push_back({"vs the best"});
  columns.push_back({"peak"});
  Table table(columns);
  for (const planner::Mending& mending : explanation.failing) {
    std::size_t shown = 0;
    for (const planner::Mend& mend : mending.mends) {
      if (shown == kMostShown) break;
      const Seconds step = mend.plan.prediction.step;
      std::vector<std::string> row = {shown == 0 ? mending.failure.rule : "", mend.change};
      if (also) row.push_back(mend.also);
      row.push_back(human(step));
      if (explanation.plan) {
        row.push_back(signed_percent(step / explanation.plan->prediction.step - 1));
      }
      if (!explanation.searched.plans.empty()) {
        const Seconds best = explanation.searched.plans.front().prediction.step;
        row.push_back(signed_percent(step / best - 1));
      }
      row.push_back(human(planner::peak_bytes(mend.plan.prediction.memory)));
      table.add(row, shown++ == 0 ? Style::Green : Style::Plain);
    }
  }
  return "\n" + table.text();
}

/// Of failures that no knob mends: what clears them, or gives memory back.
std::string unmended_text(const Explanation& explanation) {
  std::string out;
  for (const planner::Mending& mending : explanation.failing) {
    if (!mending.mends.empty()) continue;
    out += mending.cleared_by.empty()
               ? fmt::format("no one knob mends {}\n", mending.failure.rule)
               : fmt::format("{} is cleared by {}, but more is needed to run\n",
                             mending.failure.rule, fmt::join(mending.cleared_by, ", "));
    if (mending.reliefs.empty()) continue;
    Table table({{"most that one knob gives back", Table::Align::Left}, {"saves"}});
    for (const planner::Relief& relief : mending.reliefs) {
      table.add({relief.change, human(relief.saved)});
    }
    out += table.text();
  }
  return out.empty() ? "" : "\n" + out;
}

std::string nearest_text(const planner::Nearest& nearest) {
  return fmt::format("nearest layout that runs: {}\n  turns {} {} ({}), step {}, peak {}\n",
                     styled(planner::text(nearest.plan.layout), Style::Bold), nearest.turns,
                     nearest.turns == 1 ? "knob" : "knobs", nearest.change,
                     human(nearest.plan.prediction.step),
                     human(planner::peak_bytes(nearest.plan.prediction.memory)));
}

std::string standing_text(const Explanation& explanation) {
  const planner::Standing& s = *explanation.standing;
  std::string out = fmt::format(
      "{} beside the best, {}{}\n",
      s.layout == explanation.layout ? "this layout" : planner::text(s.layout),
      planner::text(s.best),
      explanation.failing.empty() || s.layout != explanation.layout ? "" : ", as if it fitted");
  Table table({{"where the step goes", Table::Align::Left}, {"this"}, {"best"}, {"difference"}});
  for (const planner::NamedTerm& term : planner::kTerms) {
    const Seconds mine = s.terms.*term.value;
    const Seconds best = s.best_terms.*term.value;
    if (mine == Seconds{0} && best == Seconds{0}) continue;
    table.add({std::string(term.words), human(mine), human(best), signed_time(mine - best)});
  }
  table.add(
      {"step", human(s.step), human(s.best_step),
       fmt::format("{} ({})", signed_time(s.step - s.best_step), signed_percent(s.ratio() - 1))},
      Style::Bold);
  out += table.text();
  out += "\n" + s.why + "\n";
  // Of one that does not run, no run can tell.
  const bool runs = explanation.failing.empty() || s.layout != explanation.layout;
  if (runs && s.layout != s.best) {
    out += fmt::format(
        "By recorded pairs of layouts, a run puts the two in this order with a chance of "
        "{:.0f}%.\n",
        100 * s.order_chance);
  }
  return out;
}

std::string memory_text(const planner::MemoryAccount& memory) {
  Table table(
      {{fmt::format("memory of stage {}", memory.stage), Table::Align::Left}, {"size"}, {"share"}});
  for (const planner::MemoryTerm& term : memory.terms) {
    if (term.size == Bytes{0}) continue;
    table.add({std::string(term.words), human(term.size),
               fmt::format("{:.1f}%", 100.0 * static_cast<double>(term.size.count) /
                                          static_cast<double>(memory.peak.count))});
  }
  table.add({"peak", human(memory.peak), "100.0%"}, Style::Bold);
  std::string out = table.text();
  out += memory.fits() ? fmt::format("fits: {} of {} are free\n", human(memory.limit - memory.peak),
                                     human(memory.limit))
                       : styled(fmt::format("does not fit: {} more than {}",
                                            human(memory.peak - memory.limit), human(memory.limit)),
                                Style::Red) +
                             "\n";
  out += "\n";
  Table estimates({{"what other estimates say", Table::Align::Left},
                   {"states"},
                   {"activations"},
                   {"total"},
                   {"off by"},
                   {"verdict", Table::Align::Left}});
  for (const planner::EstimateCheck& check : memory.estimates) {
    const bool fits = check.estimate.total() <= memory.limit;
    estimates.add({check.estimate.name, human(check.estimate.states),
                   check.estimate.activations == Bytes{0} ? "" : human(check.estimate.activations),
                   human(check.estimate.total()), signed_size(check.off),
                   fmt::format("{}{}", fits ? "fits" : "does not fit",
                               fits == memory.fits() ? "" : ", wrongly")});
  }
  out += estimates.text();
  for (const planner::EstimateCheck& check : memory.estimates) out += check.why + "\n";
  return out;
}

}  // namespace

std::string explanation_text(const planner::Problem& problem, const Explanation& explanation) {
  std::string out = styled(planner::text(explanation.layout), Style::Bold) + "\n";
  out += verdict(explanation);
  if (!explanation.failing.empty()) {
    out += "\n" + failures_text(explanation);
    out += mends_text(explanation) + unmended_text(explanation);
    out += "\n";
    out += explanation.nearest
               ? nearest_text(*explanation.nearest)
               : fmt::format("no layout within {} knobs of it runs\n", planner::kMostTurns);
  }
  if (explanation.searched.nearest_miss) {
    const auto& miss = *explanation.searched.nearest_miss;
    out += fmt::format("\nNothing fits. Nearest: {}, {} too large for {}.\n",
                       planner::text(miss.plan.layout), human(miss.missing),
                       human(problem.memory_limit()));
    if (!miss.cheapest_knob.empty()) out += fmt::format("Cheapest mend: {}.\n", miss.cheapest_knob);
  }
  if (explanation.standing) out += "\n" + standing_text(explanation);
  if (explanation.memory) out += "\n" + memory_text(*explanation.memory);
  return out;
}

}  // namespace meshplan::cli
