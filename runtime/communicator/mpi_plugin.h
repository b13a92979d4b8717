#pragma once
#include "runtime/communicator/mpi.h"

namespace meshplan::runtime {

/// The one symbol of the plug-in. Program and plug-in come from one build, so C++ types and
/// exceptions may cross.
using MpiEntry = void(const MpiOptions&, const std::function<void(Communicator&)>&);
inline constexpr const char* kMpiEntry = "meshplan_run_over_mpi";

}  // namespace meshplan::runtime
