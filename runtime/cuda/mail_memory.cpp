#include "runtime/cuda/mail_memory.h"

#include "runtime/cuda/check.h"

namespace meshplan::runtime::cuda {

cudaEvent_t MailMemory::take_event() {
  const std::lock_guard lock(mutex_);
  if (idle_events_.empty()) {
    events_.push_back(untimed_event());
    return events_.back().get();
  }
  const cudaEvent_t event = idle_events_.back();
  idle_events_.pop_back();
  return event;
}

void MailMemory::give_back_event(cudaEvent_t event) {
  const std::lock_guard lock(mutex_);
  idle_events_.push_back(event);
}

void* MailMemory::take(std::size_t size, cudaStream_t stream) {
  constexpr std::size_t kReserve = 4;
  const std::lock_guard lock(mutex_);
  std::deque<void*>& idle = idle_[size];
  if (!idle.empty()) {
    void* const memory = idle.front();
    const cudaEvent_t free = blocks_.at(memory).free.get();
    const cudaError_t state = cudaEventQuery(free);
    if (state != cudaErrorNotReady) check(state, "cudaEventQuery");
    if (state == cudaSuccess || idle.size() > kReserve) {
      check(cudaStreamWaitEvent(stream, free, cudaEventWaitDefault), "cudaStreamWaitEvent");
      idle.pop_front();
      return memory;
    }
  }
  Block block{device_memory({static_cast<std::int64_t>(size)}), untimed_event()};
  void* const memory = block.memory.get();
  blocks_.emplace(memory, std::move(block));
  return memory;
}

void MailMemory::give_back(void* memory, std::size_t size, cudaStream_t stream) {
  const std::lock_guard lock(mutex_);
  check(cudaEventRecord(blocks_.at(memory).free.get(), stream), "cudaEventRecord");
  idle_[size].push_back(memory);
}

void MailMemory::inherit(DeviceMemory memory) {
  const std::lock_guard lock(mutex_);
  inherited_.push_back(std::move(memory));
}

}  // namespace meshplan::runtime::cuda
