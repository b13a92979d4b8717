#pragma once
#include "planner/cost/compute/attention.h"

namespace meshplan::planner {

/// Attention as frameworks ran it before fused kernels.
///
///   scores = Q K^T (batched GEMM), mask and softmax over them, context = P V (batched GEMM)
///
/// The whole square is computed, causal or not; the softmax kernel reads and writes the scores
/// once. Backward: two gradient GEMMs for each of forward's, and one pass that reads P and dP and
/// writes dS. Dropout is an operator of its own. Always Extrapolated.
Estimate unfused_attention_time(const AttentionShape& shape, AttentionPass pass,
                                profiles::DataType type, const profiles::DeviceProfile& profile,
                                Clocks clocks = Clocks::Locked);

}  // namespace meshplan::planner
