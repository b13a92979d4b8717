#include "planner/memory/launch_ahead.h"

#include <algorithm>

#include "planner/layout/legality.h"

namespace meshplan::planner {
namespace {

/// How much longer a step takes where the tensor-parallel group leaves its node.
constexpr double kBetweenNodes = 1.2;
/// Layers whose launches fill the queue.
constexpr double kQueuedLayers = 25;

}  // namespace

profiles::Seconds tensor_parallel_steps(const profiles::Framework& framework, int tp, int nodes) {
  return tp * (nodes > 1 ? kBetweenNodes : 1) * framework.pipelined_tp_step;
}

double launch_ahead(const Problem& problem, const Layout& layout, const LayerPace& pace, int stage,
                    int layers) {
  const profiles::Framework& framework = problem.framework;
  const int node = problem.cluster.devices_used_per_node;
  const int tp_nodes = (layout.tp + node - 1) / node;
  if (layout.pp == 1) {
    const double queued = double(layers) * microbatches(layout, problem.workload);
    const bool waits_for_device = tp_nodes > 1 || pace.device > pace.launch;
    return std::min(1.0, queued / kQueuedLayers) * (waits_for_device ? 1 : 0.5);
  }
  const bool crosses = layout.devices() > node;
  const bool stalls = crosses && framework.stalled_transfer > profiles::Seconds{0};
  if (stalls) return 0;
  const profiles::Seconds steps =
      crosses ? tensor_parallel_steps(framework, layout.tp, tp_nodes) : profiles::Seconds{0};
  const double queued = double(layers) * (layout.pp - stage - 1);
  const double filled = std::min(1.0, queued / kQueuedLayers);
  if (pace.device > pace.launch + steps) return filled;
  return filled * std::clamp((layout.pp - 2) / 3.0, 0.0, 1.0);
}

}  // namespace meshplan::planner
