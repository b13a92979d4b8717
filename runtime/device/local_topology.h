#pragma once
#include "profiles/topology.h"
#include "runtime/device/engine.h"

namespace meshplan::runtime {

/// The GPUs of this machine as `engine` sees them, for profiles::cluster_of. Of NICs it knows
/// nothing.
profiles::Topology topology_of(const Engine& engine);

}  // namespace meshplan::runtime
