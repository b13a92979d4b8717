#pragma once
#include <vector>

#include "planner/simulate/timeline.h"
#include "runtime/device/device.h"
#include "runtime/serve/serving.h"
#include "runtime/serve/stage_pass.h"

namespace meshplan::runtime {

/// What one rank saw of a run of serving.
struct ServedRank {
  Coordinates here;
  /// By request of its replica, of the first round; on the first and the last stage. Logits only on
  /// the last.
  std::vector<std::vector<GeneratedToken>> answers;
  /// Of all rounds, with rank = global rank, step = round * steps + step of the schedule, and
  /// instruction as Piece says.
  std::vector<planner::Span> spans;
  /// By round: when it began, then when each step was done on this rank; steps + 1 a round.
  std::vector<profiles::Seconds> marks;
  profiles::Bytes weights, cache;
  profiles::Bytes peak;  ///< of everything, at one moment
};

/// Serves as the rank that `device.world()` seats. A step travels as micro-batches through the
/// stages; the last stage sends the new tokens back to the first, which needs them one step later.
/// So stages work at once as far as requests allow, and no step waits for the whole of another.
///
/// All ranks call it with the same `serving`. Throws InputError (refuse_unsupported), and
/// RankFailure when another rank fails.
ServedRank serve_rank(const Serving& serving, Device& device);

}  // namespace meshplan::runtime
