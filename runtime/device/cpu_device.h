#pragma once
#include <map>
#include <string>
#include <vector>

#include "kernels/cpu/kernels.h"
#include "runtime/device/device.h"

namespace meshplan::runtime {

/// One thread of the host. Work is done when launch() returns.
///
/// Released blocks are kept and handed out again at the same size, as caching allocators on GPUs
/// do: otherwise each step would pay for fresh pages. The counter counts live blocks only.
class CpuDevice final : public Device {
 public:
  /// `world`: the rank's seat; must outlive the device.
  explicit CpuDevice(Communicator& world) : world_(world) {}
  ~CpuDevice() override;

  [[nodiscard]] std::string description() const override;
  void* allocate(profiles::Bytes size, MemoryTerm term, Queue first_user = Queue::Compute) override;
  void release(void* memory, profiles::Bytes size, MemoryTerm term) override;
  [[nodiscard]] MemoryCounter& memory() override { return counter_; }
  void launch(const kernels::Operation& operation) override;
  void upload(std::span<const std::byte> host, void* memory) override;
  void download(const void* memory, std::span<std::byte> host) override;
  void wait() override {}
  Moment record(Queue queue = Queue::Compute) override;
  [[nodiscard]] profiles::Seconds at(Moment moment) const override;
  [[nodiscard]] Communicator& world() override { return world_; }

 private:
  Communicator& world_;
  kernels::cpu::Queue queue_;
  MemoryCounter counter_;
  std::map<std::int64_t, std::vector<void*>> idle_;  ///< by size in bytes
};

}  // namespace meshplan::runtime
