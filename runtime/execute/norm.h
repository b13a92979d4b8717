#pragma once
#include "runtime/execute/model_context.h"
#include "runtime/execute/parameters.h"

namespace meshplan::runtime {

/// What a norm keeps for its backward.
struct NormSaved {
  Tensor input, mean, rstd;
};

/// Layer norm or RMS norm, as the model says; [rows, hidden].
Tensor norm_forward(ModelContext& context, const Weight& scale, const Weight& shift,
                    const Tensor& input, NormSaved& saved);
/// gradient <- that of the input, in place; parameter gradients add up.
void norm_backward(ModelContext& context, const Weight& scale, const Weight& shift,
                   const NormSaved& saved, const Tensor& gradient);

}  // namespace meshplan::runtime
