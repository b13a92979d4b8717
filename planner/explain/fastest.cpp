#include "planner/explain/fastest.h"

#include <algorithm>
#include <optional>

#include "planner/layout/legality.h"
#include "planner/layout/stage_split.h"
#include "planner/schedule/bounds.h"

namespace meshplan::planner {

using profiles::Seconds;

std::vector<StageMemory> memory_of(PriceBook& book, const Layout& layout) {
  const Problem& problem = book.problem();
  const RankParameters& parameters = book.parameters(layout);
  const ActivationBytes& activations = book.activations(layout);
  std::vector<StageLoad> loads;
  stage_loads(problem.model, layout, problem.workload, stage_split(layout, problem.model),
              parameters, activations, loads);
  std::vector<StageMemory> out;
  stage_memory(problem, layout, loads, parameters, activations, out);
  return out;
}

bool runs(PriceBook& book, const Layout& layout) {
  const Problem& problem = book.problem();
  return !broken_rule(layout, problem.model, problem.workload, problem.cluster.devices()) &&
         peak_bytes(memory_of(book, layout)) <= problem.memory_limit();
}

Plan fastest(PriceBook& book, const std::vector<Layout>& candidates) {
  const Problem& problem = book.problem();
  struct Bounded {
    Seconds bound;
    const Layout* layout;
  };
  std::vector<Bounded> queue;
  for (const Layout& layout : candidates) {
    const ScheduleCosts costs =
        book.costs(layout, stage_split(layout, problem.model), placement(layout, problem.cluster));
    queue.push_back({step_lower_bound(layout.schedule, costs, layout.pp, layout.chunks_per_stage(),
                                      microbatches(layout, problem.workload), problem.global_sync),
                     &layout});
  }
  std::stable_sort(queue.begin(), queue.end(),
                   [](const Bounded& a, const Bounded& b) { return a.bound < b.bound; });
  std::optional<Plan> best;
  const Layout* place = nullptr;
  for (const Bounded& next : queue) {
    if (best && next.bound > best->prediction.step) break;
    Plan plan = predict(book, *next.layout);
    const bool better = !best || plan.prediction.step < best->prediction.step ||
                        (plan.prediction.step == best->prediction.step && next.layout < place);
    if (better) {
      best = std::move(plan);
      place = next.layout;
    }
  }
  return *std::move(best);
}

}  // namespace meshplan::planner
