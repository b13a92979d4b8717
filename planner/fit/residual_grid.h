#pragma once
#include <vector>

#include "profiles/log_grid.h"

namespace meshplan::planner {

/// ln(measured / model) at one shape.
struct Residual {
  std::vector<double> shape;  ///< one entry per axis of the grid
  double value = 0;
};

/// How firmly a grid holds together: chosen once for all devices, where errors on the rows held out
/// are least; flat within a factor of three.
struct GridStiffness {
  double smooth = 0.3;   ///< weight of the differences between neighbouring nodes
  double shrink = 0.05;  ///< weight of the nodes' own size
};

/// The grid over `axes` that lies closest to `residuals`:
///
///   sum of w (value - grid(shape))^2 + smooth × sum over neighbouring nodes of their difference^2
///                                    + shrink × sum of nodes^2
///
/// w lets residuals beyond 0.1 count by their distance, not its square, so that single
/// outliers do not bend the grid. Nodes without any row behind take the value of their neighbours.
/// Rounded to 0.001. Deterministic.
profiles::LogGrid fit_residual_grid(const std::vector<std::vector<double>>& axes,
                                    const std::vector<Residual>& residuals,
                                    const GridStiffness& stiffness);

}  // namespace meshplan::planner
