#pragma once
#include <vector>

#include "runtime/execute/execute.h"

namespace meshplan::runtime {

/// What the ranks of `world`, processes of their own, saw: by rank on rank 0, empty elsewhere.
/// Gradients stay where they are. Times are those of rank 0's clock: what another node's clock is
/// ahead is measured by messages to and fro, and taken off where it is more than a message takes.
/// Collective.
std::vector<RankResult> gather_results(RankResult mine, Communicator& world);

}  // namespace meshplan::runtime
