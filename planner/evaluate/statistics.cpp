#include "planner/evaluate/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace meshplan::planner {
namespace {

/// Rank of each value, 1-based; equal values share their mean rank.
std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> out(values.size());
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    const double mean = (static_cast<double>(i) + static_cast<double>(end) + 1) / 2;
    for (; i < end; ++i) out[order[i]] = mean;
  }
  return out;
}

}  // namespace

double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  if (below + 1 >= values.size()) return values.back();
  const double part = at - static_cast<double>(below);
  return values[below] + part * (values[below + 1] - values[below]);
}

ErrorSummary summarise(const std::vector<double>& errors, int runs) {
  ErrorSummary out;
  out.runs = runs;
  out.predicted = static_cast<int>(errors.size());
  if (errors.empty()) return out;
  std::vector<double> sizes;
  for (const double error : errors) {
    sizes.push_back(std::abs(error));
    out.bias += error;
  }
  const auto count = static_cast<double>(errors.size());
  out.bias /= count;
  out.mape = std::accumulate(sizes.begin(), sizes.end(), 0.0) / count;
  out.median = quantile(sizes, 0.5);
  out.p90 = quantile(sizes, 0.9);
  out.p95 = quantile(sizes, 0.95);
  return out;
}

std::optional<double> rank_correlation(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() < 2 || a.size() != b.size()) return std::nullopt;
  const auto x = ranks(a);
  const auto y = ranks(b);
  const double mean = (static_cast<double>(a.size()) + 1) / 2;
  double xy = 0;
  double xx = 0;
  double yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  if (xx == 0 || yy == 0) return std::nullopt;
  return xy / std::sqrt(xx * yy);
}

}  // namespace meshplan::planner
