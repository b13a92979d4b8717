#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "kernels/operation.h"
#include "profiles/units.h"
#include "runtime/communicator/communicator.h"
#include "runtime/device/memory_counter.h"

namespace meshplan::runtime {

/// A moment of a device's queue; only the device that recorded it can say when it was.
struct Moment {
  std::int64_t mark = 0;
};

/// What one rank computes with: the one interface between the interpreter of schedules and an
/// engine. Implementations: CpuDevice (cpu_device.h) and the GPU engine, a plug-in.
///
/// Work is issued to one queue and runs in order of issue. An engine may return before the work is
/// done; wait() ends when it is.
class Device {
 public:
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  virtual ~Device() = default;

  /// "cpu: oneDNN 2.6.3"
  [[nodiscard]] virtual std::string description() const = 0;

  /// Memory of the device, aligned to 64 bytes, contents undefined. Counted under `term`. Throws
  /// std::bad_alloc. release() gets the same size and term.
  virtual void* allocate(profiles::Bytes size, MemoryTerm term) = 0;
  virtual void release(void* memory, profiles::Bytes size, MemoryTerm term) = 0;
  [[nodiscard]] virtual MemoryCounter& memory() = 0;

  virtual void launch(const kernels::Operation& operation) = 0;

  /// Between the host and memory of the device; the host's buffer is free again on return.
  virtual void upload(std::span<const std::byte> host, void* memory) = 0;
  virtual void download(const void* memory, std::span<std::byte> host) = 0;

  virtual void wait() = 0;
  /// The moment when the work issued so far is done.
  virtual Moment record() = 0;
  /// Seconds since the device's epoch, one for all ranks of the process. After wait().
  [[nodiscard]] virtual profiles::Seconds at(Moment moment) const = 0;

  /// The group of all ranks; its calls are issued to the same queue.
  [[nodiscard]] virtual Communicator& world() = 0;
};

}  // namespace meshplan::runtime
