#pragma once
#include "cli/run_options.h"
#include "runtime/device/engine.h"

namespace meshplan::cli {

/// Serves a plan of `plan --inference` on cores of this machine, or on GPUs of `engine`; an exit
/// code. Throws InputError, and RankFailure where a rank dies or stalls.
int run_serving(runtime::Engine* engine, const RunOptions& options);

}  // namespace meshplan::cli
