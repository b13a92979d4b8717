#pragma once
#include "profiles/device.h"
#include "profiles/units.h"

namespace meshplan::planner {

/// Share of a buffer that L2 still holds when it is read again, after `working_set` bytes went by.
///
///   1 / (1 + (working_set / capacity)^16)
///
/// capacity = what L2 keeps. A least-recently-used cache read round and round holds everything or
/// nothing; the power only softens the step. L40S, whose L2 is the fastest over its memory, shows
/// how narrow it is: weights of 14 MiB, cycled five at a time, come from 96 MiB at full speed,
/// those of 18 from memory.
inline double held_share(double working_set, double capacity) {
  const double x = working_set / capacity, x2 = x * x, x4 = x2 * x2, x8 = x4 * x4;
  return 1 / (1 + x8 * x8);
}

/// What no kernel that touches `bytes` once can beat: all beyond L2 passes the memory's interface
/// at the data sheet's bandwidth.
inline double memory_floor_seconds(double bytes, const profiles::Device& device) {
  const double beyond = bytes - static_cast<double>(device.l2_cache.count);
  return beyond > 0 ? beyond / device.memory_bandwidth.rate : 0;
}

}  // namespace meshplan::planner
