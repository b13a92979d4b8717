#include "runtime/execute/norm.h"

namespace meshplan::runtime {

Tensor norm_forward(ModelContext& context, const Weight& scale, const Weight& shift,
                    const Tensor& input, NormSaved& saved) {
  const Tensor y = context.activation(input.rows(), input.cols(), MemoryTerm::Activations);
  saved.input = input;
  saved.rstd = context.tensor(1, input.rows(), MemoryTerm::Activations);
  if (context.model().normalization == planner::Normalization::RmsNorm) {
    context.run(kernels::RmsNormForward{
        .x = input.view(), .gamma = scale.value, .y = y.view(), .rstd = saved.rstd.elements()});
  } else {
    saved.mean = context.tensor(1, input.rows(), MemoryTerm::Activations);
    context.run(kernels::LayerNormForward{.x = input.view(),
                                          .gamma = scale.value,
                                          .beta = shift.value,
                                          .y = y.view(),
                                          .mean = saved.mean.elements(),
                                          .rstd = saved.rstd.elements()});
  }
  return y;
}

void norm_backward(ModelContext& context, const Weight& scale, const Weight& shift,
                   const NormSaved& saved, const Tensor& gradient) {
  if (context.model().normalization == planner::Normalization::RmsNorm) {
    context.run(kernels::RmsNormBackward{.x = saved.input.view(),
                                         .gamma = scale.value,
                                         .dy = gradient.view(),
                                         .rstd = saved.rstd.elements(),
                                         .dx = gradient.view(),
                                         .dgamma = scale.gradient});
  } else {
    context.run(kernels::LayerNormBackward{.x = saved.input.view(),
                                           .gamma = scale.value,
                                           .dy = gradient.view(),
                                           .mean = saved.mean.elements(),
                                           .rstd = saved.rstd.elements(),
                                           .dx = gradient.view(),
                                           .dgamma = scale.gradient,
                                           .dbeta = shift.gradient});
  }
}

}  // namespace meshplan::runtime
