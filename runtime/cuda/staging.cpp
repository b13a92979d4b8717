#include "runtime/cuda/staging.h"

#include <algorithm>
#include <cstring>

#include "runtime/cuda/check.h"

namespace meshplan::runtime::cuda {

Staging::Staging() : memory_(pinned_memory({kSlots * kSlot})) {
  for (Event& event : free_) event = untimed_event();
}

std::size_t Staging::next_slot() {
  const std::size_t slot = next_;
  next_ = (next_ + 1) % kSlots;
  check(cudaEventSynchronize(free_[slot].get()), "cudaEventSynchronize");  // done long ago, mostly
  return slot;
}

void Staging::upload(std::span<const std::byte> host, void* memory, cudaStream_t stream) {
  for (std::size_t at = 0; at < host.size(); at += kSlot) {
    const std::size_t size = std::min(kSlot, host.size() - at);
    const std::size_t i = next_slot();
    std::memcpy(slot(i), host.data() + at, size);
    check(cudaMemcpyAsync(static_cast<std::byte*>(memory) + at, slot(i), size,
                          cudaMemcpyHostToDevice, stream),
          "cudaMemcpyAsync");
    check(cudaEventRecord(free_[i].get(), stream), "cudaEventRecord");
  }
}

std::span<const std::byte> Staging::begin_download(const void* memory, std::size_t size,
                                                   cudaStream_t stream) {
  const std::size_t i = next_slot();
  check(cudaMemcpyAsync(slot(i), memory, size, cudaMemcpyDeviceToHost, stream), "cudaMemcpyAsync");
  check(cudaEventRecord(free_[i].get(), stream), "cudaEventRecord");
  return {slot(i), size};
}

}  // namespace meshplan::runtime::cuda
