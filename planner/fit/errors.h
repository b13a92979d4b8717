#pragma once
#include <vector>

#include "profiles/device_profile.h"

namespace meshplan::planner {

/// Loss of one row that lets outliers count by their distance, not its square: Huber's of
/// ln(measured / predicted), in units of itself beyond 0.1.
double robust_loss(double log_ratio);

/// Summary of `log_ratios` = ln(measured / predicted), any order.
profiles::ErrorSummary error_summary(const std::vector<double>& log_ratios);

/// Robust sigma of `log_ratios`: half the width that holds the middle 80 % is 1.28 sigma of a
/// normal distribution, so that the interval of a prediction covers 80 % whatever the tails.
double robust_spread(const std::vector<double>& log_ratios);

}  // namespace meshplan::planner
