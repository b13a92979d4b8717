#include "planner/uncertainty.h"

#include <algorithm>
#include <cmath>

namespace meshplan::planner {
namespace {

/// Standard deviations of ln(measured / predicted) by kind of term. Judged, not fitted: what the
/// tables behind them were held out to (docs/accuracy.md), rounded up for what differs between a
/// table and a training step.
constexpr double kMeasuredCompute = 0.02;  ///< the device has a profile of its own
constexpr double kBorrowedCompute = 0.10;  ///< constants of its kin
constexpr double kLowPrecision = 0.05;     ///< fp8, fp4: recipes differ, no table measures them
constexpr double kSparse = 0.20;           ///< routing is taken as balanced
constexpr double kCollective = 0.25;  ///< what tables do not hold: skew of ranks, compute beside
constexpr double kExchange = 0.30;    ///< all-to-all
constexpr double kTransfer = 0.30;    ///< between stages
constexpr double kHost = 0.35;        ///< depends on the host's clock and on Python
constexpr double kSharded = 0.15;     ///< gathers and reductions of data parallelism
constexpr double kOptimizer = 0.20;
constexpr double kSkew = 0.006;  ///< for each doubling of the nodes: stragglers, other jobs
/// More, when the run's software has no file of its own.
constexpr double kUnknownSpread = 0.15;

/// Of a normal distribution, 80% lies within so many standard deviations.
constexpr double kEightyPercent = 1.2816;

double compute_spread(const Problem& problem) {
  const bool fitted = problem.profile.fitted;
  double variance =
      fitted ? kMeasuredCompute * kMeasuredCompute : kBorrowedCompute * kBorrowedCompute;
  if (profiles::bits(problem.workload.data_type) < 16) variance += kLowPrecision * kLowPrecision;
  if (problem.model.experts) variance += kSparse * kSparse;
  return std::sqrt(variance);
}

}  // namespace

double step_spread(const Problem& problem, const Layout& layout, const Prediction& prediction) {
  const Terms& t = prediction.terms;
  double variance = problem.framework.known ? 0 : kUnknownSpread * kUnknownSpread;
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
