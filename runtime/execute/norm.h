#pragma once
#include "runtime/execute/parameters.h"
#include "runtime/execute/rank_context.h"

namespace meshplan::runtime {

/// What a norm keeps for its backward.
struct NormSaved {
  Tensor input, mean, rstd;
};

/// Layer norm or RMS norm, as the model says; [rows, hidden].
Tensor norm_forward(RankContext& context, const Weight& scale, const Weight& shift,
                    const Tensor& input, NormSaved& saved);
/// gradient <- that of the input, in place; parameter gradients add up.
void norm_backward(RankContext& context, const Weight& scale, const Weight& shift,
                   const NormSaved& saved, const Tensor& gradient);

}  // namespace meshplan::runtime
