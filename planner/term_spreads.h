#pragma once
#include <cmath>

#include "planner/problem.h"

namespace meshplan::planner {

/// Standard deviations of ln(measured / predicted) by kind of term, of training steps and of
/// serving steps alike. Judged, but for kSkew, not fitted: what the tables behind them were held
/// out to (docs/accuracy.md), rounded up for what differs between a table and a run.
namespace term_spread {
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
/// For each doubling of the nodes: stragglers, other jobs. Fitted on recorded runs of 1 to 384
/// nodes: the fitted half is likeliest from 0 to 0.002.
constexpr double kSkew = 0.002;
/// More, when the run's software has no file of its own.
constexpr double kUnknownSoftware = 0.15;
}  // namespace term_spread

/// Of a normal distribution, 80% lies within so many standard deviations.
constexpr double kEightyPercent = 1.2816;

/// Of the work on devices: by where its prices come from, the format and the kind of layers.
inline double compute_spread(const Problem& problem) {
  using namespace term_spread;
  const double base = problem.profile.fitted ? kMeasuredCompute : kBorrowedCompute;
  double variance = base * base;
  if (profiles::bits(problem.workload.data_type) < 16) variance += kLowPrecision * kLowPrecision;
  if (problem.model.experts) variance += kSparse * kSparse;
  return std::sqrt(variance);
}

}  // namespace meshplan::planner
