#include "runtime/device/cpu_device.h"

#include <chrono>
#include <cstring>
#include <new>

namespace meshplan::runtime {
namespace {

constexpr std::align_val_t kAlignment{64};

}  // namespace

CpuDevice::~CpuDevice() {
  for (const auto& [size, blocks] : idle_) {
    for (void* block : blocks) ::operator delete(block, kAlignment);
  }
}

std::string CpuDevice::description() const {
  return "cpu: " + std::string(kernels::cpu::gemm_library());
}

void* CpuDevice::allocate(profiles::Bytes size, MemoryTerm term, Queue /*first_user*/) {
  void* memory = nullptr;
  if (auto blocks = idle_.find(size.count); blocks != idle_.end() && !blocks->second.empty()) {
    memory = blocks->second.back();
    blocks->second.pop_back();
  } else {
    memory = ::operator new(static_cast<std::size_t>(size.count), kAlignment);
  }
  counter_.take(size, term);
  return memory;
}

void CpuDevice::release(void* memory, profiles::Bytes size, MemoryTerm term) {
  idle_[size.count].push_back(memory);
  counter_.give_back(size, term);
}

void CpuDevice::launch(const kernels::Operation& operation) {
  kernels::cpu::run(operation, queue_);
}

void CpuDevice::upload(std::span<const std::byte> host, void* memory) {
  if (!host.empty()) std::memcpy(memory, host.data(), host.size());
}

void CpuDevice::download(const void* memory, std::span<std::byte> host) {
  if (!host.empty()) std::memcpy(host.data(), memory, host.size());
}

Moment CpuDevice::record(Queue /*queue*/) {
  return {std::chrono::steady_clock::now().time_since_epoch().count()};
}

profiles::Seconds CpuDevice::at(Moment moment) const {
  return std::chrono::steady_clock::duration(moment.mark);
}

}  // namespace meshplan::runtime
