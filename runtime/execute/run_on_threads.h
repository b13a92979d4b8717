#pragma once
#include <vector>

#include "runtime/communicator/in_process.h"
#include "runtime/execute/execute.h"

namespace meshplan::runtime {

/// Runs `training` with every rank on a thread of this process and on the host's kernels; results
/// by rank. Throws InputError before anything runs, RankFailure when a rank fails or stalls.
/// `options.in_words` is filled in.
std::vector<RankResult> run_on_threads(const Training& training, InProcessOptions options);

}  // namespace meshplan::runtime
