#pragma once
#include <span>
#include <vector>

#include "runtime/execute/parameters.h"
#include "runtime/execute/rank_context.h"

namespace meshplan::runtime {

/// AdamW over the reduced gradients, on this rank's shards.
class OptimizerState {
 public:
  OptimizerState(RankContext& context, ModelState& state);

  /// The norm of the gradient of the whole model, each parameter counted once; waits for all ranks.
  double global_norm();
  /// Step `step` from 1; the gradient is scaled first. Clears all gradients.
  void step(std::int64_t step, float gradient_scale);

 private:
  RankContext& context_;
  ModelState& state_;
  /// Pieces of gradient memory that this rank counts in the norm.
  std::vector<std::span<float>> counted_;
};

}  // namespace meshplan::runtime
