#pragma once
#include <cuda_runtime_api.h>

#include <memory>
#include <new>
#include <string>

#include "profiles/units.h"

namespace meshplan::runtime::cuda {

// What CUDA hands out, owned: given back without a word on failure, for which the device may be the
// reason.

struct DestroyEvent {
  void operator()(cudaEvent_t event) const { cudaEventDestroy(event); }
};
using Event = std::unique_ptr<CUevent_st, DestroyEvent>;
Event timed_event();
Event untimed_event();

struct DestroyStream {
  void operator()(cudaStream_t stream) const { cudaStreamDestroy(stream); }
};
using Stream = std::unique_ptr<CUstream_st, DestroyStream>;
/// Waits for no other stream, nor does the default stream wait for it. `priority` as CUDA counts
/// them: less is more urgent.
Stream stream_of_priority(int priority);

struct FreeDeviceMemory {
  void operator()(void* memory) const { cudaFree(memory); }
};
using DeviceMemory = std::unique_ptr<void, FreeDeviceMemory>;

struct FreePinnedMemory {
  void operator()(void* memory) const { cudaFreeHost(memory); }
};
using PinnedMemory = std::unique_ptr<void, FreePinnedMemory>;

/// A device has no more memory; what() says how much was asked for and how much there is.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::string what) : what_(std::move(what)) {}
  [[nodiscard]] const char* what() const noexcept override { return what_.c_str(); }

 private:
  std::string what_;
};

/// Of the current device. Throws OutOfMemory.
DeviceMemory device_memory(profiles::Bytes size);
/// Of the host, page-locked.
PinnedMemory pinned_memory(profiles::Bytes size);

}  // namespace meshplan::runtime::cuda
