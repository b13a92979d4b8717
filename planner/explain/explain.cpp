#include "planner/explain/explain.h"

#include "planner/explain/fastest.h"
#include "planner/layout/legality.h"

namespace meshplan::planner {

Explanation explain(const Problem& problem, const Layout& layout, const SearchOptions& options) {
  PriceBook book(problem);
  Explanation out;
  out.layout = layout;
  const bool legal =
      !broken_rule(layout, problem.model, problem.workload, problem.cluster.devices());
  if (legal) out.plan = predict(book, layout);
  const std::vector<Failure> failing = failures(
      layout, problem, out.plan ? out.plan->prediction.memory : std::vector<StageMemory>{});
  out.failing = mendings(book, layout, failing);
  if (!failing.empty()) out.nearest = nearest_running(book, layout);
  SearchOptions best_only = options;
  best_only.top = 1;
  out.searched = search(problem, best_only);
  if (const Plan* subject = out.subject()) {
    if (!out.searched.plans.empty()) {
      out.standing = standing(problem, *subject, out.searched.plans.front());
    }
    out.memory = memory_account(problem, *subject);
  }
  return out;
}

}  // namespace meshplan::planner
