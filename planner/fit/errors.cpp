#include "planner/fit/errors.h"

#include <algorithm>
#include <cmath>

namespace meshplan::planner {
namespace {

/// Quantile of sorted values, the nearest rank.
double quantile(const std::vector<double>& sorted, double q) {
  if (sorted.empty()) return 0;
  const auto at = static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1) + 0.5);
  return sorted[at];
}

double rounded(double value) { return std::round(value * 1e4) / 1e4; }

}  // namespace

double robust_loss(double log_ratio) {
  constexpr double kTrusted = 0.1;
  const double distance = std::abs(log_ratio);
  return distance < kTrusted ? distance * distance / (2 * kTrusted) : distance - kTrusted / 2;
}

profiles::ErrorSummary error_summary(const std::vector<double>& log_ratios) {
  std::vector<double> absolute, relative;
  for (const double ratio : log_ratios) {
    relative.push_back(std::exp(-ratio) - 1);
    absolute.push_back(std::abs(relative.back()));
  }
  std::sort(absolute.begin(), absolute.end());
  std::sort(relative.begin(), relative.end());
  return {static_cast<int>(log_ratios.size()), rounded(quantile(absolute, 0.5)),
          rounded(quantile(absolute, 0.9)), rounded(quantile(absolute, 0.95)),
          rounded(quantile(relative, 0.5))};
}

double robust_spread(const std::vector<double>& log_ratios) {
  std::vector<double> sorted = log_ratios;
  std::sort(sorted.begin(), sorted.end());
  const double width = quantile(sorted, 0.9) - quantile(sorted, 0.1);
  return std::max(0.01, rounded(width / 2 / 1.2816));
}

}  // namespace meshplan::planner
