#pragma once
#include <vector>

#include "runtime/communicator/in_process.h"
#include "runtime/device/engine.h"
#include "runtime/execute/execute.h"

namespace meshplan::runtime {

/// Runs `training` with every rank on a thread of this process and on a device of `engine`; results
/// by rank. OneEach: rank r on device r. Replay and Partitioned: all ranks on device 0.
///
/// Throws InputError before anything runs, and where there are fewer devices than ranks;
/// RankFailure when a rank fails or stalls.
std::vector<RankResult> run_on_engine(Engine& engine, const Training& training, Seating seating,
                                      profiles::Seconds timeout);

}  // namespace meshplan::runtime
