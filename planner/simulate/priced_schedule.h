#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "planner/schedule/schedule.h"
#include "planner/simulate/costs.h"

namespace meshplan::planner {

/// A schedule with its prices laid out flat, as both passes of the simulator read it: what an
/// instruction costs, whose data it waits for, which bucket follows which backward. Filled anew for
/// each schedule; its memory is kept.
struct PricedSchedule {
  /// A gradient bucket of one rank, in list order.
  struct Reduce {
    std::int32_t instruction = 0;
    std::int32_t chunk = 0;
    int bucket = 0, buckets = 1;
    profiles::Seconds price{0};
  };
  /// Prices of one chunk by compute action (Forward .. Recompute).
  struct Chunk {
    profiles::Seconds duration[5]{};
    Work work[5]{};
    int stage = 0;
    bool input_arrives = false;     ///< the chunk before is on another rank
    bool gradient_arrives = false;  ///< the chunk after is on another rank
    HopCost forward, backward;
    const Instruction* last_producer = nullptr;  ///< of weight gradients; none without reduction
  };

  int ranks = 0;
  int microbatches = 0;
  bool barrier = false;  ///< ranks wait for each other before the optimizer
  profiles::Seconds sync{0};
  bool overlap_reduce = false, overlap_gather = false;
  std::vector<Chunk> chunks;
  std::vector<Reduce> reduces;     ///< by rank, list order
  std::vector<int> reduces_begin;  ///< size ranks + 1
  std::vector<int> barrier_at;     ///< index of OptimizerSync in the program, or its size
  const ScheduleCosts* costs = nullptr;

  [[nodiscard]] std::size_t slots() const {
    return 2 * chunks.size() * static_cast<std::size_t>(microbatches);
  }
  /// Where the arrivals of a step begin; what stands after the barrier of a step before the first
  /// sends nothing.
  [[nodiscard]] std::int64_t lane(int step) const {
    return static_cast<std::int64_t>(step < 0 ? 0 : step) * static_cast<std::int64_t>(slots());
  }
  /// Where the arrival of the input of Forward(chunk, microbatch) is noted.
  [[nodiscard]] std::int64_t input_slot(int chunk, int microbatch) const {
    return static_cast<std::int64_t>(chunk) * microbatches + microbatch;
  }
  /// Where the arrival of the output gradient of (chunk, microbatch) is noted.
  [[nodiscard]] std::int64_t gradient_slot(int chunk, int microbatch) const {
    return input_slot(static_cast<int>(chunks.size()) + chunk, microbatch);
  }
};

/// Lays `schedule` out with `costs`, which must outlive the result. Throws InputError when the two
/// do not belong together or an instruction names a chunk, micro-batch or bucket that is not there.
void price(const Schedule& schedule, const ScheduleCosts& costs, PricedSchedule& priced);

/// Whether two streams can ever be on one link together. If not, every flow takes its stated time.
bool shares_links(const PricedSchedule& priced);

}  // namespace meshplan::planner
