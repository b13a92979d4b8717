#pragma once
#include "planner/layout/layout.h"
#include "planner/workload.h"
#include "profiles/framework.h"

namespace meshplan::planner {

/// Bytes that one rank keeps per parameter it owns (after tp, pp, ep cut the model).
struct StateBytes {
  double weights = 0;
  double gradients = 0;
  double optimizer = 0;  ///< master copy and moments
  [[nodiscard]] double sum() const { return weights + gradients + optimizer; }
};

/// Model states under ZeRO stage `zero` over `shards` ranks.
///
///   stage        weights            gradients   optimizer            (w, g, o = the framework's
///   bytes) 0            w                  g           o 1            w                  g o / D
///   2            w                  g / D       o / D
///   3            w / D              g / D       o / D
///
/// Where sharded fp32 weights are the master copy (FSDP: master_bytes 0), stage 2 keeps w / D and
/// the gathered working copy. Gathered layers of stage 3 are not here: see stage_memory.h.
/// Megatron: 18, and 6 + 12/D with its distributed optimizer. Source: reference formulas section 3.
StateBytes state_bytes(const profiles::Framework& framework, Optimizer optimizer, int zero,
                       int shards);

/// Whether ranks keep whole gradients of sharded ones (ZeRO-2 and 3) until the last micro-batch
/// reduces them.
bool defers_reduction(const profiles::Framework& framework, const Layout& layout);

}  // namespace meshplan::planner
