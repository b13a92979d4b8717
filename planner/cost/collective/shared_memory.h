#pragma once
#include "planner/cost/collective/collective.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// A call of ranks that are threads of one process (runtime/communicator/in_process): they meet,
/// read each other's memory, and meet again.
struct SharedMemoryCall {
  profiles::Seconds latency{0};  ///< of the meetings
  double seconds_per_byte = 0;   ///< of the bytes that CollectiveModel counts
};
/// `all_reduce` = bytes of an all-reduce over two ranks that pass in a second; its ranks read both
/// halves of their share and copy the other share. More than one rank.
SharedMemoryCall shared_memory_call(Collective operation, int ranks,
                                    profiles::BytesPerSecond all_reduce);

}  // namespace meshplan::planner
