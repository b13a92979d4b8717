#pragma once
#include <optional>

#include "planner/simulate/timeline.h"
#include "runtime/execute/execute.h"
#include "runtime/measure/measurement.h"

namespace meshplan::runtime {

struct MeasureOptions {
  int warm_up = 1;  ///< steps that do not count; Training::options.steps includes them
  profiles::Seconds timeout{60};  ///< of a wait
  int at_once = 1;                ///< ranks that a replay runs side by side
};

/// A measurement and the timeline it was taken from. Parallel: every step, rank = global rank, from
/// time 0. Replay: two steps as the simulator puts them together, rank = stage.
struct Measured {
  Measurement measurement;
  planner::Timeline timeline;
  std::vector<GradientPart> gradients;  ///< of the captured step, of all ranks
};

/// All ranks at once, as threads of this process.
Measured measure_parallel(const Training& training, const MeasureOptions& options);

/// As measure_parallel, on ranks that are processes of their own: this one is that of `host`, over
/// memory of the host, and computes with `device`, which `words` describe. The answer is rank 0's;
/// the others get none. Collective.
std::optional<Measured> measure_launched(const Training& training, const MeasureOptions& options,
                                         Communicator& host, Device& device,
                                         const std::string& words);

/// What `ranks` saw that ran at once, on devices that `words` describe.
Measured measured_at_once(const Training& training, const MeasureOptions& options, Mode mode,
                          std::string words, bool asynchronous, std::vector<RankResult> ranks);

/// Step and timeline as the simulator puts them together from the measured instructions of `out`,
/// with communication as in `modelled`.
void put_together(const Training& training, const planner::ScheduleCosts& modelled, Measured& out);

/// Throws InputError unless a step remains after the warm-up.
void require_counted_steps(const Training& training, const MeasureOptions& options);

/// The ranks' spans as one timeline that starts at 0.
planner::Timeline timeline_of(const std::vector<RankResult>& ranks, int steps);

}  // namespace meshplan::runtime
