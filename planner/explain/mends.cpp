#include "planner/explain/mends.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "planner/explain/fastest.h"
#include "planner/explain/knobs.h"
#include "planner/layout/layout_text.h"
#include "planner/layout/legality.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;

constexpr std::size_t kMostReliefs = 4;

std::set<Rule> broken_rules(const Layout& layout, const Problem& problem) {
  std::set<Rule> out;
  for (const Violation& violation :
       violations(layout, problem.model, problem.workload, problem.cluster.devices())) {
    out.insert(violation.rule);
  }
  return out;
}

/// A layout that runs, and which of the starts led to it.
struct Arrival {
  Layout layout;
  std::size_t start = 0;
};
/// The layouts that run after the fewest turns from `starts`, at most `most` of them; never of the
/// knob `kept`. With 0 turns: those of `starts` that run themselves.
struct Reached {
  int turns = 0;
  std::vector<Arrival> arrivals;
  [[nodiscard]] std::vector<Layout> layouts() const {
    std::vector<Layout> out;
    for (const Arrival& arrival : arrivals) out.push_back(arrival.layout);
    return out;
  }
};
Reached reach(PriceBook& book, const std::vector<Layout>& starts, int most,
              const std::string& kept) {
  std::vector<Arrival> at;
  for (std::size_t i = 0; i < starts.size(); ++i) at.push_back({starts[i], i});
  std::set<std::string> seen;
  Reached out;
  for (;; ++out.turns) {
    for (const Arrival& arrival : at) {
      if (runs(book, arrival.layout)) out.arrivals.push_back(arrival);
    }
    if (!out.arrivals.empty() || out.turns == most) return out;
    std::vector<Arrival> further;
    for (const Arrival& arrival : at) {
      for (KnobTurn& turn : knob_turns(arrival.layout, book.problem())) {
        if (turn.knob == kept || !seen.insert(text(turn.layout)).second) continue;
        further.push_back({std::move(turn.layout), arrival.start});
      }
    }
    at = std::move(further);
  }
}

/// Turns by knob, in the order of the first turn of each.
std::vector<std::pair<std::string, std::vector<KnobTurn>>> by_knob(std::vector<KnobTurn> turns) {
  std::vector<std::pair<std::string, std::vector<KnobTurn>>> out;
  for (KnobTurn& turn : turns) {
    const auto same = std::find_if(out.begin(), out.end(),
                                   [&](const auto& group) { return group.first == turn.knob; });
    if (same == out.end()) {
      out.push_back({turn.knob, {}});
      out.back().second.push_back(std::move(turn));
    } else {
      same->second.push_back(std::move(turn));
    }
  }
  return out;
}

/// Whether `turned` clears `failure` of `before` and breaks no rule that was not broken.
bool clears(const Failure& failure, const std::set<Rule>& before, const Layout& turned,
            PriceBook& book) {
  if (failure.rule == kOutOfMemory) return runs(book, turned);
  for (const Rule rule : broken_rules(turned, book.problem())) {
    if (name(rule) == failure.rule || !before.contains(rule)) return false;
  }
  return true;
}

/// More nodes, where the layout runs as it is on as many devices as it wants.
std::optional<Mend> larger_cluster(const Problem& problem, const Layout& layout) {
  const std::int64_t wanted = std::int64_t{1} * layout.tp * layout.pp * layout.dp * layout.cp;
  const std::int64_t per_node = problem.cluster.devices_used_per_node;
  constexpr std::int64_t kMostDevices = 10'000'000;
  if (wanted <= problem.cluster.devices() || wanted > kMostDevices) return std::nullopt;
  Problem larger = problem;
  larger.cluster.nodes = static_cast<int>((wanted + per_node - 1) / per_node);
  PriceBook book(larger);
  if (!runs(book, layout)) return std::nullopt;
  return Mend{"cluster",
              fmt::format("{} nodes instead of {}", larger.cluster.nodes, problem.cluster.nodes),
              "", predict(book, layout)};
}

/// What single knobs give back, most first.
std::vector<Relief> reliefs(PriceBook& book, const Layout& layout) {
  const Problem& problem = book.problem();
  const Bytes peak = peak_bytes(memory_of(book, layout));
  std::vector<Relief> out;
  for (const auto& [knob, turns] : by_knob(knob_turns(layout, problem))) {
    std::optional<Relief> most;
    for (const auto& [same, value, turned] : turns) {
      if (!broken_rules(turned, problem).empty()) continue;
      const Bytes saved = peak - peak_bytes(memory_of(book, turned));
      if (saved > Bytes{0} && (!most || saved > most->saved)) {
        most = Relief{changed_keys(layout, turned), saved};
      }
    }
    if (most) out.push_back(*most);
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const Relief& a, const Relief& b) { return a.saved > b.saved; });
  if (out.size() > kMostReliefs) out.resize(kMostReliefs);
  return out;
}

}  // namespace

std::vector<Mending> mendings(PriceBook& book, const Layout& layout,
                              const std::vector<Failure>& failures) {
  const Problem& problem = book.problem();
  const std::set<Rule> broken = broken_rules(layout, problem);
  std::vector<Mending> out;
  for (const Failure& failure : failures) {
    Mending mending{failure, {}, {}, {}};
    for (auto& [knob, turns] : by_knob(knob_turns(layout, problem, true))) {
      std::vector<Layout> cleared;
      for (const KnobTurn& turn : turns) {
        if (!clears(failure, broken, turn.layout, book)) continue;
        cleared.push_back(turn.layout);
        mending.cleared_by.push_back(turn.value);
      }
      const Reached reached = reach(book, cleared, kMostTurns - 1, knob);
      if (reached.arrivals.empty()) continue;
      Plan plan = fastest(book, reached.layouts());
      const auto arrival = std::find_if(reached.arrivals.begin(), reached.arrivals.end(),
                                        [&](const Arrival& a) { return a.layout == plan.layout; });
      const Layout& alone = cleared[arrival->start];
      mending.mends.push_back(
          {knob, changed_keys(layout, alone), changed_keys(alone, plan.layout), std::move(plan)});
    }
    std::stable_sort(mending.mends.begin(), mending.mends.end(), [](const Mend& a, const Mend& b) {
      return a.plan.prediction.step < b.plan.prediction.step;
    });
    if (failure.rule == name(Rule::Devices)) {
      if (auto mend = larger_cluster(problem, layout)) mending.mends.push_back(*std::move(mend));
    }
    if (!mending.mends.empty()) mending.cleared_by.clear();
    if (failure.rule == kOutOfMemory && mending.mends.empty()) {
      mending.reliefs = reliefs(book, layout);
    }
    out.push_back(std::move(mending));
  }
  return out;
}

std::optional<Nearest> nearest_running(PriceBook& book, const Layout& layout) {
  const Reached reached = reach(book, {layout}, kMostTurns, "");
  if (reached.arrivals.empty()) return std::nullopt;
  Plan plan = fastest(book, reached.layouts());
  std::string change = changed_keys(layout, plan.layout);
  return Nearest{reached.turns, std::move(change), std::move(plan)};
}

}  // namespace meshplan::planner
