#include "planner/uncertainty.h"

#include <algorithm>
#include <cmath>

#include "planner/term_spreads.h"

namespace meshplan::planner {

double step_spread(const Problem& problem, const Layout& layout, const Prediction& prediction) {
  using namespace term_spread;
  const Terms& t = prediction.terms;
  double variance = problem.framework.known ? 0 : kUnknownSoftware * kUnknownSoftware;
  variance += problem.framework.spread * problem.framework.spread;
  const auto add = [&](profiles::Seconds term, double spread) {
    const double share = term / prediction.step * spread;
    variance += share * share;
  };
  add(t.compute + t.bubble, compute_spread(problem));
  add(t.tp + t.cp, kCollective);
  add(t.ep, kExchange);
  add(t.dp, layout.zero >= 2 ? 2 * kSharded : kSharded);
  add(t.pp, kTransfer);
  add(t.overhead, kHost);
  add(t.optimizer, kOptimizer);
  const int nodes = std::max(1, layout.devices() / problem.cluster.devices_used_per_node);
  const double skew = kSkew * std::log2(nodes);
  variance += skew * skew;
  return std::sqrt(variance);
}

Interval step_interval(const Problem& problem, const Layout& layout, const Prediction& prediction) {
  const double factor = std::exp(kEightyPercent * step_spread(problem, layout, prediction));
  return {prediction.step / factor, prediction.step * factor};
}

}  // namespace meshplan::planner
