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
/// What carries over is relative to the device's facts: shares of bandwidth and L2, tiles, waves,
/// residuals. Two things follow its clocks (device_clocks.h), where both are known:
///
///   efficiency = kin's * (maximum clock / peak's clock) / (the same of the kin)
///     tables are taken at the highest clock, peaks are stated at a lower one;
///   latency = kin's * kin's maximum clock / maximum clock
///     launches, prologues and merges are chains of instructions: nearly a constant of cycles (the
///     smallest GEMM: 4.2 thousand on A100, L40S and, within 12%, Hopper and Blackwell).
std::optional<DeviceProfile> borrowed_profile(const Device& device, const DataFiles& files);

}  // namespace meshplan::profiles
