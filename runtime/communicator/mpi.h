#pragma once
#include <functional>
#include <optional>
#include <string>

#include "profiles/units.h"
#include "runtime/communicator/communicator.h"

namespace meshplan::runtime {

struct MpiOptions {
  profiles::Seconds timeout{60};  ///< of a wait
  DescribePlace in_words;         ///< for the message of a failure
  /// Called by one rank of each node when a rank has failed, before all of them throw.
  std::function<void(const RankFailure&)> tell;
};

/// The second engine of communication: ranks are processes that mpirun or srun has started. Runs
/// `body` once, as the rank that this process is; collectives are MPI's own, so the order of sums
/// is not ours and results agree with other engines only to rounding.
///
/// A rank that dies is noticed by the others of its node at their next wait or note(); SIGTERM,
/// which launchers send then, is held back until they have said how far each rank came.
///
/// `library` = path of the plug-in meshplan_mpi.so, which alone depends on MPI. Throws
/// std::runtime_error with the loader's words when it cannot be loaded, and RankFailure when this
/// rank or another one throws or a wait takes too long; the process must then end with a non-zero
/// status, whereupon the launcher ends the others. Places of ranks on other nodes are unknown.
/// Once per process: MPI cannot be started again.
void run_over_mpi(const std::string& library, const MpiOptions& options,
                  const std::function<void(Communicator&)>& body);

/// The plug-in `name` in $MESHPLAN_PLUGINS, beside the executable, or in ../lib/meshplan from
/// there.
std::optional<std::string> find_plugin(const std::string& name);

}  // namespace meshplan::runtime
