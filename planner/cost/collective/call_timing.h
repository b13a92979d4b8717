#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "planner/cost/collective/collective_profile.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// How a measured call was started and timed: a habit of the program that measured, as a framework
/// has habits. Tables that are fitted on, and so all predictions, are of calls in CUDA graphs.
enum class CallTiming : std::uint8_t {
  Graph,     ///< many calls in a CUDA graph, time of one: no launch shows
  Launched,  ///< nccl-tests as it runs by default: one thread launches on every device of its node
  Kernel,    ///< duration of one rank's kernel, launched from Python: ends when the last rank has
             ///< come
  Program    ///< inside a compiled program, with its copies and its meeting of the ranks
};
constexpr int kCallTimings = 4;

/// "graph", "launched", "kernel", "program": column `timed` of tables.
std::string_view name(CallTiming timing);
std::optional<CallTiming> call_timing_from(std::string_view text);

/// How the rows of a published source were timed, by what the source states of itself: "nccl-tests
/// style" are AIConfigurator's tables, Vidur profiles kernels with Kineto (`CollectiveWrapper`,
/// graphs off), XLA's tables hold operations of compiled programs. Any other source is a log of
/// nccl-tests. An empty text: Graph.
CallTiming call_timing_of_source(std::string_view source);

/// What a program that times so reports for a call that takes `call` by itself:
///
///   t = max(call, devices * launch, wait) + added
///
/// devices = ceil(ranks / servers). `wait` counts for more than two ranks only: of n ranks one
/// comes last and waits for nobody, so of two the kernel that is timed is as likely the short one.
profiles::Seconds as_timed(profiles::Seconds call, CallTiming timing, int ranks, int servers,
                           const CollectiveProfile& profile = shipped_collective_profile());

}  // namespace meshplan::planner
