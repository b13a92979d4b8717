#pragma once
#include <string>
#include <vector>

#include "planner/cost/collective/call_timing.h"
#include "planner/cost/collective/collective.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// One row of a table of measured collectives.
struct MeasuredCollective {
  Collective operation = Collective::AllReduce;
  profiles::Bytes bytes;  ///< as nccl-tests counts them
  int ranks = 0, nodes = 0;
  std::string cluster;
  profiles::Seconds time{0};
  CallTiming timing = CallTiming::Graph;
  std::string where;  ///< "table.csv:12"
};

/// Reads columns op, bytes, ranks, nodes, cluster, seconds, and where they are there timed
/// (call_timing.h) or else source; others are ignored. Refuses missing columns, unknown operations
/// and numbers that no measurement has, naming the line.
std::vector<MeasuredCollective> read_collective_table(const std::string& path);

}  // namespace meshplan::planner
