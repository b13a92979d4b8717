#include "planner/evaluate/pairs.h"

#include <algorithm>
#include <map>
#include <string>

#include "planner/uncertainty.h"

namespace meshplan::planner {
namespace {

std::vector<PairsApart> gaps() {
  std::vector<PairsApart> out;
  double low = 0;
  for (const double high : {0.02, 0.05, 0.10, 0.25}) {
    out.push_back({low, high});
    low = high;
  }
  out.push_back({low, std::nullopt});
  return out;
}

/// Whether the two say something about an order of layouts.
bool comparable(const EvaluatedRun& a, const EvaluatedRun& b) {
  return *a.run->layout != *b.run->layout && *a.run->step != *b.run->step &&
         a.plan->prediction.step != b.plan->prediction.step &&
         a.run->problem.framework.name == b.run->problem.framework.name;
}

void count(const EvaluatedRun& a, const EvaluatedRun& b, std::vector<PairsApart>& out) {
  const Prediction& p = a.plan->prediction;
  const Prediction& q = b.plan->prediction;
  const double gap = std::max(p.step / q.step, q.step / p.step) - 1;
  const auto at = std::find_if(out.begin(), out.end(), [&](const PairsApart& apart) {
    return !apart.high || gap < *apart.high;
  });
  ++at->pairs;
  at->right += (p.step < q.step) == (*a.run->step < *b.run->step) ? 1 : 0;
  at->expected += order_chance(a.run->problem, *a.run->layout, p, *b.run->layout, q);
}

}  // namespace

std::vector<PairsApart> pairs_by_gap(const std::vector<EvaluatedRun>& runs) {
  std::map<std::string, std::vector<const EvaluatedRun*>> groups;
  for (const EvaluatedRun& run : runs) {
    if (run.time_error) groups[run.run->group()].push_back(&run);
  }
  std::vector<PairsApart> out = gaps();
  for (const auto& [name, members] : groups) {
    for (std::size_t i = 0; i < members.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (comparable(*members[i], *members[j])) count(*members[i], *members[j], out);
      }
    }
  }
  return out;
}

}  // namespace meshplan::planner
