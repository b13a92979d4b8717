#pragma once
#include <memory>
#include <vector>

#include "planner/schedule/schedule.h"
#include "planner/simulate/costs.h"
#include "planner/simulate/timeline.h"

namespace meshplan::planner {

/// What one steady step takes, without its timeline.
struct SimulatedStep {
  profiles::Seconds step{0};  ///< the steady period (DESIGN.md section 1)
  int rank = 0;               ///< whose period is longest; `terms` are its own
  Terms terms;
  /// Compute stream of each rank in one step: work, exposed collectives, optimizer. What is left of
  /// `step` is bubble, transfer and waiting for the barrier.
  std::vector<profiles::Seconds> busy;
  /// One step alone, from an idle pipeline to the last rank's end: the latency of a forward-only
  /// schedule. With a barrier at the optimizer it equals `step`.
  profiles::Seconds alone{0};
  int steps = 1;  ///< simulated until the period was steady
};

/// The simulator: interprets a schedule with prices. The rules:
/// - A rank runs its compute instructions in list order, one after the other.
/// - A send starts when the compute instructions before it in the list are done and earlier sends
/// of
///   its direction have left: they follow each other on a stream that the device does not feel.
///   Data is there after transfer + latency; only the transfer occupies stream and link.
/// - Forward waits for the input from the chunk before, Backward and InputGrad for the gradient
///   from the chunk after, if another rank holds it; so does the Recompute before these, which
///   frameworks run inside the backward. Receives delay nothing else.
/// - Gradient bucket b of n is ready at (b + 1) / n of the last weight gradient of its chunk with
///   overlap, else when the rank has computed everything; buckets run one after the other, chunks
///   in the order in which they become ready.
/// - Parameter gathers run in list order. Without overlap compute waits for all that are issued.
/// With
///   overlap the first Forward of a chunk starts when the first of its n buckets is there and ends
///   no earlier than 1/n of its work after the last.
/// - With global_sync every rank waits at OptimizerSync (or at the end of a program without one)
///   until all gradients of all ranks are reduced; then all leave together, the longest
///   StageCost::sync later.
/// - Flows that share links get max-min fair shares (contention.h).
/// The result depends on nothing but the arguments, to the last bit.
///
/// With a barrier the state of all ranks there is the same in every step: one step from barrier to
/// barrier is exact. Without one (post_validated, forward-only) 2 steps are run back to back, then
/// 4, then 8 if the last period is not the same on all ranks; after 8 the longest stands.
///
/// Keeps its working memory, so that a search simulates candidate after candidate without
/// allocating.
class Simulator {
 public:
  Simulator();
  ~Simulator();
  Simulator(Simulator&&) noexcept;
  Simulator& operator=(Simulator&&) noexcept;

  SimulatedStep step(const Schedule& schedule, const ScheduleCosts& costs);
  /// All spans of `steps` consecutive steps.
  Timeline timeline(const Schedule& schedule, const ScheduleCosts& costs, int steps = 2);

 private:
  struct Workspace;
  std::unique_ptr<Workspace> workspace_;
};

/// One schedule, once. Throws InputError when costs and schedule do not belong together, or when
/// ranks wait for data that never comes.
SimulatedStep simulate_step(const Schedule& schedule, const ScheduleCosts& costs);
Timeline simulate(const Schedule& schedule, const ScheduleCosts& costs, int steps = 2);

}  // namespace meshplan::planner
