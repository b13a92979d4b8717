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

/// A moment of one of a device's queues; only the device that recorded it can say when it was.
struct Moment {
  std::int64_t mark = 0;
};

/// Memory of a device that no tensor holds: constants of a profile rather than of a plan.
struct FixedMemory {
  profiles::Bytes context;        ///< of the driver, as this process sees it
  profiles::Bytes kernels;        ///< workspaces of the kernels' libraries
  profiles::Bytes communicators;  ///< what starting the groups took from the driver
  profiles::Bytes arena;          ///< that the allocator holds, tensors included
};

/// What one rank computes with: the one interface between the interpreter of schedules and an
/// engine. Implementations: CpuDevice (cpu_device.h) and the GPU engine, a plug-in.
///
/// Operations are issued to Queue::Compute, communication to the queue of its group. The work of
/// one queue runs in the order of issue; between queues order() makes one wait for another. An
/// asynchronous engine returns before the work is done, wait() ends when all of it is. A thread of
/// the host has one queue under all names, and its work is done on return.
class Device {
 public:
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  virtual ~Device() = default;

  /// "cpu: oneDNN 2.6.3"
  [[nodiscard]] virtual std::string description() const = 0;

  /// Whether calls return before the work is done, so that queues run beside each other.
  [[nodiscard]] virtual bool asynchronous() const { return false; }

  /// Memory of the device, aligned to 64 bytes, contents undefined. Counted under `term`. Throws
  /// std::bad_alloc. `first_user` may use it at once, others once it has been ordered before them.
  /// release() gets the same size and term, when all work on the memory that was issued to other
  /// queues than Compute is ordered before what Compute does next (or under keep()).
  virtual void* allocate(profiles::Bytes size, MemoryTerm term,
                         Queue first_user = Queue::Compute) = 0;
  virtual void release(void* memory, profiles::Bytes size, MemoryTerm term) = 0;
  /// Holds on to `owner` until `moment` has passed: what another queue still reads.
  virtual void keep(std::shared_ptr<const void> owner, Moment moment) {
    (void)owner, (void)moment;  // passed already where work is done on return
  }
  [[nodiscard]] virtual MemoryCounter& memory() = 0;

  [[nodiscard]] virtual FixedMemory fixed_memory() const { return {}; }
  /// How it computed what can be computed in several ways, in a few words; "" where there is none.
  [[nodiscard]] virtual std::string remark() const { return ""; }

  virtual void launch(const kernels::Operation& operation) = 0;

  /// Between the host and memory of the device, in the order of Queue::Compute; the host's buffer
  /// is free again on return, and a download is there.
  virtual void upload(std::span<const std::byte> host, void* memory) = 0;
  virtual void download(const void* memory, std::span<std::byte> host) = 0;

  virtual void wait() = 0;
  /// The moment when the work issued to `queue` so far is done.
  virtual Moment record(Queue queue = Queue::Compute) = 0;
  /// What is issued to `queue` from now on starts after `moment`.
  virtual void order(Moment moment, Queue queue) { (void)moment, (void)queue; }
  /// Seconds since the device's epoch, one for all ranks of the process. After wait().
  [[nodiscard]] virtual profiles::Seconds at(Moment moment) const = 0;

  /// The group of all ranks; its calls are issued to Queue::Compute.
  [[nodiscard]] virtual Communicator& world() = 0;
};

}  // namespace meshplan::runtime
