#pragma once
#include <vector>

#include "runtime/communicator/in_process.h"
#include "runtime/device/engine.h"
#include "runtime/serve/serve_rank.h"

namespace meshplan::runtime {

/// Serves with every rank on a thread of this process, on the host's kernels, or on device r of
/// `engine` for rank r (all on device 0 where ranks take turns); results by rank. Throws InputError
/// before anything runs and where there are fewer devices than ranks, RankFailure when a rank fails
/// or stalls. `options.in_words` is filled in.
std::vector<ServedRank> serve_on_threads(const Serving& serving, InProcessOptions options);
std::vector<ServedRank> serve_on_engine(Engine& engine, const Serving& serving,
                                        InProcessOptions options);

}  // namespace meshplan::runtime
