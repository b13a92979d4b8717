#pragma once
#include <string>
#include <vector>

#include "planner/cost/collective/call_timing.h"
#include "planner/cost/collective/collective.h"
#include "planner/cost/collective/collective_source.h"
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
  std::string source;  ///< empty: not stated
  std::string where;   ///< "table.csv:12"
};

/// Reads columns op, bytes, ranks, nodes, cluster, seconds, and where they are there source
/// (collective_source.h) and timed (call_timing.h); others are ignored. Refuses missing columns,
/// unknown operations and numbers that no measurement has, naming the line.
std::vector<MeasuredCollective> read_collective_table(const std::string& path);

/// What the program that measured `row` would report by our prices, on `cluster` as the row's
/// source has it. Refuses more ranks a node than the cluster has.
profiles::Seconds reported_time(const MeasuredCollective& row, const profiles::Cluster& cluster);

}  // namespace meshplan::planner
