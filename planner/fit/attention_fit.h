#pragma once
#include <vector>

#include "planner/fit/tables.h"

namespace meshplan::planner {

/// Constants and residual grid of the fused kernel over many queries (prefill rows), fitted on the
/// rows that is_fitted() chooses.
profiles::AttentionConstants fit_attention(const profiles::Device& device,
                                           const std::vector<AttentionMeasurement>& rows);

/// The same of decode rows.
profiles::DecodeConstants fit_decode(const profiles::Device& device,
                                     const std::vector<AttentionMeasurement>& rows);

}  // namespace meshplan::planner
