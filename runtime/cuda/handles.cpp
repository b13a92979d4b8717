#include "runtime/cuda/handles.h"

#include "runtime/cuda/check.h"

namespace meshplan::runtime::cuda {
namespace {

Event event_with(unsigned flags) {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, flags), "cudaEventCreateWithFlags");
  return Event(event);
}

}  // namespace

Event timed_event() { return event_with(cudaEventDefault); }
Event untimed_event() { return event_with(cudaEventDisableTiming); }

Stream stream_of_priority(int priority) {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, priority),
        "cudaStreamCreateWithPriority");
  return Stream(stream);
}

DeviceMemory device_memory(profiles::Bytes size) {
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, static_cast<std::size_t>(size.count));
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // not sticky: what failed is this call
    std::size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    throw OutOfMemory("out of memory of the device: " + std::to_string(size.count) +
                      " bytes asked for, " + std::to_string(free) + " of " + std::to_string(total) +
                      " are free");
  }
  check(status, "cudaMalloc");
  return DeviceMemory(memory);
}

PinnedMemory pinned_memory(profiles::Bytes size) {
  void* memory = nullptr;
  check(cudaMallocHost(&memory, static_cast<std::size_t>(size.count)), "cudaMallocHost");
  return PinnedMemory(memory);
}

}  // namespace meshplan::runtime::cuda
