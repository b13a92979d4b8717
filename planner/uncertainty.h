#pragma once
#include "planner/plan.h"
#include "planner/problem.h"

namespace meshplan::planner {

/// The 80% interval of a predicted step.
///
///   step * exp(-1.2816 s) .. step * exp(+1.2816 s),   s^2 = f^2 + sum over terms (share_i * s_i)^2
///
/// f = the framework's spread: how far recorded runs of this software lie from predictions once its
/// settings are known (its file says on how many runs), or kUnknownSoftware; share_i = a term's
/// share of the step; s_i = how well that kind of term is known. A bubble is as uncertain as the
/// work that causes it, so its share counts as compute.
struct Interval {
  profiles::Seconds low{0}, high{0};
};
Interval step_interval(const Problem& problem, const Layout& layout, const Prediction& prediction);

/// Standard deviation of ln(measured / predicted) of the step.
double step_spread(const Problem& problem, const Layout& layout, const Prediction& prediction);

}  // namespace meshplan::planner
