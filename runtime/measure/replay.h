#pragma once
#include <functional>
#include <string>

#include "planner/simulate/costs.h"
#include "runtime/communicator/lone.h"
#include "runtime/measure/measure.h"

namespace meshplan::runtime {

/// Runs `own` as the rank that `world` seats, without the others: run_lone_rank on some device.
using RunAlone = std::function<RankResult(const Training& own, Lone& world)>;

/// What each kind of work of a layout takes, measured once and remembered for all that is like it.
///
/// One rank of each stage is executed, without the others (lone.h): the last of its tensor-parallel
/// group, which holds the largest share, in the first replica; with as few micro-batches as fill
/// its memory. Stages whose work an earlier one has shown run one step, for their memory. As many
/// ranks run side by side as `options.at_once`, so that their cores have busy neighbours as in a
/// parallel run; where the layout has fewer stages, ranks of further replicas and shares join in.
///
/// The timeline of all ranks is put together by the simulator from the medians, with communication
/// as in `modelled`, prices of the same schedule. There are no losses: see replayed_losses.
/// `words` = the device.
Measured measure_alone(const Training& training, const planner::ScheduleCosts& modelled,
                       const MeasureOptions& options, std::string words, const RunAlone& run);

/// The same on cores.
Measured measure_replay(const Training& training, const planner::ScheduleCosts& modelled,
                        const MeasureOptions& options);

/// The losses of `training` by all of its ranks, one after the other: needs their memory together
/// and the time of all their work.
std::vector<double> replayed_losses(const Training& training, profiles::Seconds timeout);

}  // namespace meshplan::runtime
