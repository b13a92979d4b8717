#pragma once
#include <functional>
#include <utility>
#include <variant>

#include "runtime/device/cpu_device.h"

namespace meshplan::runtime {

/// A CpuDevice that does something unpleasant at its n-th attention.
class FaultyDevice final : public Device {
 public:
  FaultyDevice(Communicator& world, int n, std::function<void()> fault)
      : healthy_(world), left_(n), fault_(std::move(fault)) {}
  [[nodiscard]] std::string description() const override { return healthy_.description(); }
  void* allocate(profiles::Bytes size, MemoryTerm term, Queue first_user) override {
    return healthy_.allocate(size, term, first_user);
  }
  void release(void* memory, profiles::Bytes size, MemoryTerm term) override {
    healthy_.release(memory, size, term);
  }
  [[nodiscard]] MemoryCounter& memory() override { return healthy_.memory(); }
  void launch(const kernels::Operation& operation) override {
    if (std::holds_alternative<kernels::AttentionForward>(operation) && --left_ == 0) fault_();
    healthy_.launch(operation);
  }
  void upload(std::span<const std::byte> host, void* memory) override {
    healthy_.upload(host, memory);
  }
  void download(const void* memory, std::span<std::byte> host) override {
    healthy_.download(memory, host);
  }
  void wait() override { healthy_.wait(); }
  Moment record(Queue queue) override { return healthy_.record(queue); }
  [[nodiscard]] profiles::Seconds at(Moment moment) const override { return healthy_.at(moment); }
  [[nodiscard]] Communicator& world() override { return healthy_.world(); }

 private:
  CpuDevice healthy_;
  int left_;
  std::function<void()> fault_;
};

}  // namespace meshplan::runtime
