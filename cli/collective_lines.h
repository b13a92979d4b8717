#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "planner/layout/layout.h"
#include "profiles/cluster.h"
#include "runtime/execute/observed.h"
#include "runtime/measure/gpu_tables.h"

namespace meshplan::cli {

/// One collective: what we predict, what NCCL expects (ncclGroupSimulateEnd), what it took.
struct CollectiveLine {
  std::string operation;
  profiles::Bytes bytes;
  int ranks = 2;
  int calls = 0;                               ///< of a step; 0: of a benchmark
  std::optional<profiles::Seconds> predicted;  ///< none: not between devices of the cluster
  std::optional<profiles::Seconds> estimated;  ///< none: NCCL did not say
  profiles::Seconds measured{0};
};

/// Those of a run of `layout` on `cluster` in `steps` steps; none where the run measured none.
std::vector<CollectiveLine> collective_lines(const std::vector<runtime::CollectiveTime>& times,
                                             int steps, const planner::Layout& layout,
                                             const profiles::Cluster& cluster);
/// Those of a profile. `cluster`: what the devices are joined by; none for parts of one device.
std::vector<CollectiveLine> collective_lines(const std::vector<runtime::GpuCollectiveTime>& times,
                                             const std::optional<profiles::Cluster>& cluster);

/// A table, a line each; "" for none.
std::string collective_table(const std::vector<CollectiveLine>& lines);
nlohmann::ordered_json collective_json(const std::vector<CollectiveLine>& lines);

}  // namespace meshplan::cli
