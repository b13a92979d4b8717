#pragma once
#include <string>
#include <vector>

#include "profiles/cluster.h"
#include "profiles/device_profile.h"
#include "runtime/measure/host.h"
#include "runtime/measure/host_tables.h"

namespace meshplan::runtime {

/// The device "host-cpu" (one rank = one core) and the constants of its profile that `measured`
/// tells; `date` = the day to record.
///
/// The facts are what was reached, so that floors hold: peak = fastest product, memory bandwidth =
/// fastest stream beyond the core's own cache. Of the formulas of planner/cost/compute, which are
/// a GPU's, only the roofline is left: one tile, no waves; the rest stands in the residual grids,
/// one node for each measured shape.
profiles::DeviceProfile host_profile(const Host& host, const HostTables& measured,
                                     const std::string& date);

/// Cores that measure together: all, as far as their memory suffices.
int measuring_cores(const Host& host);

/// Bandwidth between two ranks of `localhost` at which the model of collectives gives the measured
/// all-reduces (least squares of logarithms). `without`: the cluster, its device already measured.
profiles::BytesPerSecond rank_bandwidth(const profiles::Cluster& without,
                                        const std::vector<AllReduceTime>& measured);

}  // namespace meshplan::runtime
