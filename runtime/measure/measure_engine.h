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

/// Any number of ranks on one device, one operation at a time; the timeline is put together from
/// the medians, with communication as in `modelled`.
Measured measure_replay_on_engine(Engine& engine, const Training& training,
                                  const planner::ScheduleCosts& modelled,
                                  const MeasureOptions& options);

}  // namespace meshplan::runtime
