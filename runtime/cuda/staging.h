#pragma once
#include <cuda_runtime_api.h>

#include <array>
#include <cstddef>
#include <span>

#include "runtime/cuda/handles.h"

namespace meshplan::runtime::cuda {

/// Page-locked memory through which small tensors come and go, slot by slot, so that an upload
/// waits for no stream and its host buffer is free at once.
class Staging {
 public:
  Staging();

  void upload(std::span<const std::byte> host, void* memory, cudaStream_t stream);
  /// Issues the copy of at most kSlot bytes; they lie in the result when the stream has passed,
  /// until the next call.
  std::span<const std::byte> begin_download(const void* memory, std::size_t size,
                                            cudaStream_t stream);

  static constexpr std::size_t kSlot = std::size_t{256} << 10;

 private:
  static constexpr std::size_t kSlots = 16;

  /// The next slot, once the copy that used it last is done.
  std::size_t next_slot();
  [[nodiscard]] std::byte* slot(std::size_t i) const {
    return static_cast<std::byte*>(memory_.get()) + i * kSlot;
  }

  PinnedMemory memory_;
  std::array<Event, kSlots> free_;
  std::size_t next_ = 0;
};

}  // namespace meshplan::runtime::cuda
