#pragma once
#include "runtime/execute/model_context.h"
#include "runtime/execute/parameters.h"

/// Pieces of a layer that training and serving share.
namespace meshplan::runtime {

/// The columns of q, k and v in a fused matrix of this rank's heads.
struct QueryKeyValue {
  kernels::TensorView q, k, v;
};
QueryKeyValue query_key_value(const ModelContext& context, const Tensor& fused);

/// Heads and the scale of the scores; batch and lengths are left to the caller.
kernels::AttentionShape attention_heads(const ModelContext& context);

/// x W + bias, [rows, columns of W]
Tensor product(const ModelContext& context, const Tensor& x, const Weight& weight,
               const Weight& bias, MemoryTerm term);

kernels::Activation activation_kernel(planner::Activation activation);
/// activation(up), or activation(gate) * up of a gate | up matrix.
Tensor activate(const ModelContext& context, const Tensor& up);

/// cos and sin of the first `positions` positions, [positions, head_dim / 2]; empty where positions
/// are not rotary.
struct RotaryTables {
  Tensor cosine, sine;
};
RotaryTables rotary_tables(const ModelContext& context, std::int64_t positions);

}  // namespace meshplan::runtime
