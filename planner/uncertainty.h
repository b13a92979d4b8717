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

/// How likely it is that of two layouts of one problem the one predicted faster runs faster, 0.5 to
/// 1; the same whichever comes first.
///
///   1/2 + atan(g / w) / pi,   w^2 = w0^2 + (k d)^2,   d^2 = sum over terms (s_i share_i - same of
///                                                           the other)^2
///
/// g = |ln(step / other step)|. Both layouts share what is wrong with the software, the clock and
/// the price of each term, so only what differs between their terms can turn them round: d, in the
/// spreads s_i of step_interval. w0 is what each layout has for itself. A Cauchy distribution,
/// because a few layouts are off by factors, whatever their neighbours do.
/// w0 = 0.02 and k = 1.5: fitted by likelihood on the pairs of the fitted half, a group of n
/// layouts with the weight of n / 2 (docs/accuracy.md, Pairs of layouts).
double order_chance(const Problem& problem, const Layout& layout, const Prediction& prediction,
                    const Layout& other_layout, const Prediction& other);

}  // namespace meshplan::planner
