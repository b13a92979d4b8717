#include "planner/uncertainty.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "planner/term_spreads.h"

namespace meshplan::planner {
namespace {

/// By kind of term, its share of the step times how well it is known.
using Exposures = std::array<double, 7>;
Exposures exposures(const Problem& problem, const Layout& layout, const Prediction& prediction) {
  using namespace term_spread;
  const Terms& t = prediction.terms;
  const auto of = [&](profiles::Seconds term, double spread) {
    return term / prediction.step * spread;
  };
  return {of(t.compute + t.bubble, compute_spread(problem)),
          of(t.tp + t.cp, kCollective),
          of(t.ep, kExchange),
          of(t.dp, layout.zero >= 2 ? 2 * kSharded : kSharded),
          of(t.pp, kTransfer),
          of(t.overhead, kHost),
          of(t.optimizer, kOptimizer)};
}

}  // namespace

double step_spread(const Problem& problem, const Layout& layout, const Prediction& prediction) {
  using namespace term_spread;
  double variance = problem.framework.known ? 0 : kUnknownSoftware * kUnknownSoftware;
  variance += problem.framework.spread * problem.framework.spread;
  for (const double exposure : exposures(problem, layout, prediction)) {
    variance += exposure * exposure;
  }
  const int nodes = std::max(1, layout.devices() / problem.cluster.devices_used_per_node);
  const double skew = kSkew * std::log2(nodes);
  variance += skew * skew;
  return std::sqrt(variance);
}

Interval step_interval(const Problem& problem, const Layout& layout, const Prediction& prediction) {
  const double factor = std::exp(kEightyPercent * step_spread(problem, layout, prediction));
  return {prediction.step / factor, prediction.step * factor};
}

double order_chance(const Problem& problem, const Layout& layout, const Prediction& prediction,
                    const Layout& other_layout, const Prediction& other) {
  constexpr double kOwn = 0.02;
  constexpr double kDiffering = 1.5;
  const Exposures mine = exposures(problem, layout, prediction);
  const Exposures theirs = exposures(problem, other_layout, other);
  double differing = 0;
  for (std::size_t i = 0; i < mine.size(); ++i) {
    differing += (mine[i] - theirs[i]) * (mine[i] - theirs[i]);
  }
  const double width = std::hypot(kOwn, kDiffering * std::sqrt(differing));
  const double gap = std::abs(std::log(prediction.step / other.step));
  return 0.5 + std::atan(gap / width) / std::numbers::pi;
}

}  // namespace meshplan::planner
