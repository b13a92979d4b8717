#pragma once
#include <exception>
#include <functional>
#include <optional>
#include <string>

#include "runtime/communicator/launch.h"
#include "runtime/device/engine.h"
#include "runtime/execute/training.h"
#include "runtime/measure/measure.h"

/// `mpirun -n 4 meshplan run plan.json`, `torchrun ...`: every rank is a process. Rank 0 prints and
/// writes; all end with the same code.
namespace meshplan::cli {

/// Says why the run cannot be, in one line on standard error for all ranks together: rank 0 at
/// once, another only if nobody has ended it (launchers end all ranks when one leaves) within two
/// seconds. Returns `code`.
int refuse_as_one(const runtime::Launch& launched, const std::string& message, int code);

/// What the rank that this process is runs.
struct LaunchedRank {
  runtime::Launch launched;
  runtime::Engine* engine = nullptr;  ///< none: a core
  int ordinal = 0;                    ///< of its device of `engine`
  /// Why it cannot run here; asked once the ranks have met.
  std::function<std::optional<std::string>()> obstacle;
};

/// The device of a rank that computes on GPUs, of the `devices` that its process sees: that of its
/// local rank, or the only one (launchers can show each rank its own). Throws InputError.
int device_of(const runtime::Launch& launched, int devices);

/// Runs `training` as `rank`. Cores below mpirun or srun talk over MPI where this build has it;
/// otherwise ranks meet over TCP, and GPUs move tensors over NCCL. `answer` turns the measurement
/// into output and an exit code, on rank 0; every rank returns it. A failure is said by one rank of
/// each machine; throws RankFailure on all of them, and InputError where ranks cannot meet.
int run_launched(const LaunchedRank& rank, const runtime::Training& training,
                 const runtime::MeasureOptions& options,
                 const std::function<int(runtime::Measured)>& answer);

/// One line on standard error.
void say_failure(const std::exception& failure);

}  // namespace meshplan::cli
