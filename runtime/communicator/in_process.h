#pragma once
#include <functional>

#include "profiles/units.h"
#include "runtime/communicator/communicator.h"

namespace meshplan::runtime {

struct InProcessOptions {
  /// A rank that waits longer than this, or runs longer without a note(), fails the run.
  profiles::Seconds timeout{60};
  /// Ranks take turns: one runs until it waits for another. Timings of their computation are then
  /// undisturbed, however few the cores (replay).
  bool take_turns = false;
  DescribePlace in_words;  ///< for the message of a failure
};

/// Runs `body` once per rank, each on a thread of its own, and returns when all have returned.
/// Collectives are our own: each rank reduces its part of the buffer over the ranks 0 .. n-1 in
/// that order, so the result is the same bits in every run.
///
/// Throws RankFailure when a rank throws or stalls. A thread that stalls inside `body` cannot be
/// stopped: it is left behind after a second, and the caller should end the process; `body` must
/// therefore own what it uses (capture by value or shared pointer) where stalls are possible.
void run_in_process(int ranks, const InProcessOptions& options,
                    const std::function<void(Communicator&)>& body);

}  // namespace meshplan::runtime
