#pragma once
#include <optional>

#include "profiles/data_files.h"
#include "profiles/device.h"
#include "profiles/device_profile.h"

namespace meshplan::profiles {

/// The profile of `device` from its facts and from the constants of its nearest kin that was
/// measured, never its own, with a wider spread: what load_profile() answers for a device without
/// tables, and what evaluate --unseen holds against the tables of one that has them. None without
/// any kin.
///
/// What carries over is relative to the device's facts, tiles, waves, residuals, shares of memory's
/// bandwidth and of L2, or a time: what a thread block waits for when it starts and ends is memory,
/// whose latency is nearly the same on all (decode: 4.1 us on A100, 4.5 on L40S at 1.8 times the
/// clock). The rest follows the clocks (device_clocks.h), where both are known:
///
///   efficiency = kin's * (maximum clock / peak's clock) / (the same of the kin)
///     tables are taken at the highest clock, peaks are stated at a lower one; where the power cap
///     holds products of both below it, with their loaded clocks instead;
///   launch = kin's * kin's maximum clock / maximum clock
///     a chain of instructions: nearly a constant of cycles (the smallest GEMM: 4.2 to 4.9 thousand
///     on A100, L40S and Hopper, 3.8 on Blackwell); decode's merge is a kernel of its own;
///   bandwidth of L2, of a block and of operands read again = kin's, in bytes a cycle and
///   multiprocessor
///     L2 runs at the multiprocessors' clock, a block has so many loads under way, and strips of C
///     that run together find an operand in L2; profiles state all three over the memory's
///     bandwidth (the last as raster_width: H100 518, H200 344, at 3.35 and 4.8 TB/s);
///   attention of Blackwell Ultra (103) from Blackwell (100): faster by what twice the exponentials
///     a cycle make of a pair of query and key. No table shows it yet.
std::optional<DeviceProfile> borrowed_profile(const Device& device, const DataFiles& files);

}  // namespace meshplan::profiles
