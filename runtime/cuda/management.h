#pragma once
#include "runtime/device/engine.h"

namespace meshplan::runtime::cuda {

/// Clocks, power and temperature of device `ordinal` now, from NVIDIA's management library; empty
/// where that library is not there. It only reads.
DeviceState state_of(int ordinal);

/// How device `ordinal` of `count` is joined to the others.
DeviceLinks links_of(int ordinal, int count);

/// Memory of the device that is in use, by any process; unset without the library. Before a context
/// exists nothing else can tell.
std::optional<profiles::Bytes> used_memory(const char* pci_bus_id);

}  // namespace meshplan::runtime::cuda
