#pragma once
#include <exception>
#include <functional>
#include <string>

#include "planner/layout/layout.h"
#include "runtime/communicator/launch.h"
#include "runtime/execute/training.h"
#include "runtime/measure/measure.h"

/// `mpirun -n 4 meshplan run plan.json`: every rank is a process. Rank 0 prints and writes; all end
/// with the same code.
namespace meshplan::cli {

/// Says why the run cannot be, in one line on standard error for all ranks together: rank 0 at
/// once, another only if nobody has ended it (launchers end all ranks when one leaves) within two
/// seconds. Returns `code`.
int refuse_as_one(const runtime::Launch& launched, const std::string& message, int code);

/// Runs `training` over MPI as the rank that this process is. `answer` turns the measurement into
/// output and an exit code, on rank 0; every rank returns it. A failure of a rank is said by one
/// rank of each node; throws RankFailure on all of them.
int run_launched(const runtime::Launch& launched, const runtime::Training& training,
                 const runtime::MeasureOptions& options,
                 const std::function<int(runtime::Measured)>& answer);

/// One line on standard error.
void say_failure(const std::exception& failure);

}  // namespace meshplan::cli
