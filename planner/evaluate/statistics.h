#pragma once
#include <optional>
#include <vector>

namespace meshplan::planner {

/// Summary of relative errors, predicted / measured - 1.
struct ErrorSummary {
  int runs = 0;                         ///< measured
  int predicted = 0;                    ///< of those, predicted
  double mape = 0;                      ///< mean of |error|
  double median = 0, p90 = 0, p95 = 0;  ///< of |error|
  double bias = 0;                      ///< mean of error
};
ErrorSummary summarise(const std::vector<double>& errors, int runs);

/// Quantile q of `values` (0..1), interpolated between neighbours; 0 for none.
double quantile(std::vector<double> values, double q);

/// Spearman's rank correlation; ties get their mean rank. None with fewer than two values or where
/// one side is constant.
std::optional<double> rank_correlation(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace meshplan::planner
