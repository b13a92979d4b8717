#include "planner/memory/model_states.h"

namespace meshplan::planner {

StateBytes state_bytes(const profiles::Framework& framework, Optimizer optimizer, int zero,
                       int shards) {
  const double d = shards;
  double moments = framework.moment_bytes;
  if (optimizer == Optimizer::Lion) moments /= 2;
  if (optimizer == Optimizer::Sgd) moments = 0;
  const double optimizer_bytes = framework.master_bytes + moments;
  const bool weights_are_master = framework.master_bytes == 0;

  StateBytes out{framework.weight_bytes,
                 framework.gradient_bytes + framework.backward_gradient_bytes, optimizer_bytes};
  if (zero >= 1) out.optimizer = optimizer_bytes / d;
  if (zero >= 2) {
    out.gradients = framework.gradient_bytes / d;
    if (weights_are_master) out.weights = framework.weight_bytes / d + framework.gathered_bytes;
  }
  if (zero >= 3) out.weights = framework.weight_bytes / d;
  return out;
}

bool defers_reduction(const profiles::Framework& framework, const Layout& layout) {
  using profiles::DeferredReduction;
  if (layout.zero < 2 || framework.deferred_reduction == DeferredReduction::Never) return false;
  return layout.pp > 1 || framework.deferred_reduction == DeferredReduction::Always;
}

}  // namespace meshplan::planner
