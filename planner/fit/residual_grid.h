#pragma once
#include <vector>

#include "profiles/log_grid.h"

namespace meshplan::planner {

/// ln(measured / model) at one shape.
struct Residual {
  std::vector<double> shape;  ///< one entry per axis of the grid
  double value = 0;
};

/// The grid over `axes` that lies closest to `residuals`:
///
///   sum of w (value - grid(shape))^2 + smooth × sum over neighbouring nodes of their difference^2
///                                    + shrink × sum of nodes^2
///
/// w lets residuals beyond `kTrusted` count by their distance, not its square, so that single
/// outliers do not bend the grid. Nodes without any row behind take the value of their neighbours.
/// Rounded to 0.001. Deterministic.
profiles::LogGrid fit_residual_grid(const std::vector<std::vector<double>>& axes,
                                    const std::vector<Residual>& residuals);

}  // namespace meshplan::planner
