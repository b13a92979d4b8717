#pragma once
#include <cstdint>

#include "runtime/measure/host_tables.h"

/// What two ranks on threads of their own take to exchange numbers, and to find together at all.
namespace meshplan::runtime {

/// The median of ranks that arrive together.
AllReduceTime all_reduce_time(std::int64_t elements);

/// What a rank waits where both meet after the same work, of about 7 ms (a layer) and 100 ms (a
/// step) on a core of 100 GFLOP/s, less what a meeting takes that nobody is late for: means over
/// stretches of about half a second, the median of them.
profiles::Waiting waiting(Effort effort);

}  // namespace meshplan::runtime
