#pragma once
#include "planner/layout/layout.h"
#include "planner/problem.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// One layer and micro-batch, both passes: what the device computes, and what the host takes to
/// launch it.
struct LayerPace {
  profiles::Seconds device{0}, launch{0};
};

/// Host time of the steps that a layer takes over its tensor-parallel ranks where the pipeline
/// crosses nodes: Framework::pipelined_tp_step for each rank, a fifth more where the group does
/// too. Fitted on recorded runs of 8, 16 and 32 ranks (docs/accuracy.md).
profiles::Seconds tensor_parallel_steps(const profiles::Framework& framework, int tp, int nodes);

/// How far the host runs ahead of the device on `stage`, 0 to 1 of the launch queue; the buffers of
/// collectives wait that long to be freed, and lie in memory meanwhile.
///
/// Without stages the host waits for nothing; with stages it enqueues the forward passes of
/// warm-up, (stages - stage - 1) times `layers`, before it waits for a neighbour. CUDA's queue
/// holds 1024 launches: about 25 layers. Where the host is the slower of the two, the queue fills
/// only while the device waits for others: half of it without stages, none with two, all of it with
/// five. Stalled transfers (Framework::stalled_transfer) keep the host back. The shares are
/// inferred from recorded memory (docs/accuracy.md).
double launch_ahead(const Problem& problem, const Layout& layout, const LayerPace& pace, int stage,
                    int layers);

}  // namespace meshplan::planner
