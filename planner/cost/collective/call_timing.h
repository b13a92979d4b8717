#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "planner/cost/collective/collective_profile.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// How a measured call was started and timed: a habit of the program that measured, as a framework
/// has habits. Predictions are of calls whose launches do not show, as of most rows that constants
/// are fitted on.
enum class CallTiming : std::uint8_t {
  Graph,     ///< no launch shows: many calls in a CUDA graph, or in a row from a thread a device
  Launched,  ///< nccl-tests as it runs by default: on one node one thread launches on every device;
             ///< on several each device has a process
  Kernel,    ///< duration of one rank's kernel, launched from Python: ends when the last rank has
             ///< come
  Program    ///< inside a compiled program, with its copies and its meeting of the ranks
};
constexpr int kCallTimings = 4;

/// "graph", "launched", "kernel", "program": column `timed` of tables.
std::string_view name(CallTiming timing);
std::optional<CallTiming> call_timing_from(std::string_view text);

/// What a program that times so reports for a call that takes `call` by itself:
///
///   t = max(call, slower * devices * launch, slower * wait) + added
///
/// devices = ranks on one server, 1 on several; slower = old_host_scale on the hosts of Ampere and
/// older. `wait` counts for more than two ranks only: of n ranks one comes last and waits for
/// nobody, so of two the kernel that is timed is as likely the short one.
profiles::Seconds as_timed(profiles::Seconds call, CallTiming timing, int ranks, int servers,
                           bool old_host,
                           const CollectiveProfile& profile = shipped_collective_profile());

}  // namespace meshplan::planner
