#pragma once
#include <string>

#include "planner/simulate/costs.h"
#include "runtime/device/engine.h"
#include "runtime/measure/measure.h"

namespace meshplan::runtime {

/// "NVIDIA H200, CUDA 13.0, driver 13.0; ...": the first device, and the libraries.
std::string in_words(const Engine& engine);

/// All ranks at once on devices of `engine`, as threads of this process: a device for each
/// (Parallel), or a part of one for each (Partitioned, whose groups move data within the device).
Measured measure_on_engine(Engine& engine, const Training& training, Mode mode,
                           const MeasureOptions& options);

/// measure_alone on the first device: one rank of each stage, one after the other.
Measured measure_replay_on_engine(Engine& engine, const Training& training,
                                  const planner::ScheduleCosts& modelled,
                                  const MeasureOptions& options);

/// The losses of `training` by all of its ranks on the first device, which take turns: needs their
/// memory together.
std::vector<double> replayed_losses(Engine& engine, const Training& training,
                                    profiles::Seconds timeout);

}  // namespace meshplan::runtime
