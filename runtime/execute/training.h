#pragma once
#include <cstdint>
#include <optional>

#include "kernels/tensor_view.h"
#include "planner/layout/layout.h"
#include "planner/model/transformer.h"
#include "planner/schedule/schedule.h"
#include "planner/workload.h"

namespace meshplan::runtime {

/// Arithmetic choices that the planner does not know. The same for every layout, so that losses can
/// be compared.
struct TrainingOptions {
  int steps = 5;
  std::uint64_t seed = 1;
  float learning_rate = 1e-3F;
  float weight_decay = 0.0F;  ///< on every parameter
  float clip_norm = 1.0F;     ///< of the global gradient; used when optimizer_sync=global
  /// Keep the gradients of this step (0-based), as they are just before the optimizer.
  std::optional<int> captured_step;
};

/// Everything that fixes a training run; ranks add who they are.
struct Training {
  planner::Transformer model;
  planner::Workload workload;
  planner::Layout layout;
  planner::Schedule schedule;
  TrainingOptions options;
};

/// How activations and the parameters that operations read are stored. In bf16 the optimizer keeps
/// fp32 masters, gradients of parameters add up in fp32, and so does every sum inside a kernel.
kernels::ElementType element_type(const Training& training);

/// Throws InputError when the executor cannot run `training`: experts, latent attention, context
/// parallelism, ZeRO 2 and 3, offload, and what layouts may never be (planner/layout/legality.h).
/// Also when the schedule has other stages, chunks or micro-batches than layout and workload.
void refuse_unsupported(const Training& training);

}  // namespace meshplan::runtime
