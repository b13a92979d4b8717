#pragma once
#include <vector>

#include "planner/fit/tables.h"

namespace meshplan::planner {

/// Constants and residual grid of GEMMs on `device`, fitted on the rows that is_fitted() chooses.
/// First the constants of the formula, on at most 3000 rows; then the grid, on all.
profiles::GemmConstants fit_gemm(const profiles::Device& device,
                                 const std::vector<GemmMeasurement>& rows);

/// What fitting starts from: tiles of GPU libraries and efficiencies that they reach.
profiles::GemmConstants usual_gemm_constants();

}  // namespace meshplan::planner
