#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "runtime/cuda/handles.h"

namespace meshplan::runtime::cuda {

/// What the virtual ranks of one device share: memory in which messages wait for their receivers,
/// and events. Lives until the last rank is gone.
class MailMemory {
 public:
  /// A block that `stream` may write from now on.
  void* take(std::size_t size, cudaStream_t stream);
  /// After the work of `stream` so far.
  void give_back(void* memory, std::size_t size, cudaStream_t stream);

  /// Keeps the memory of a rank that ends early, since work of others may still read it.
  void inherit(DeviceMemory memory);

  /// Without times. Given back when every wait for it has been issued.
  cudaEvent_t take_event();
  void give_back_event(cudaEvent_t event);

 private:
  struct Block {
    DeviceMemory memory;
    Event free;  ///< when the work that used it last is done
  };
  std::mutex mutex_;
  std::unordered_map<void*, Block> blocks_;                  ///< by address
  std::unordered_map<std::size_t, std::deque<void*>> idle_;  ///< of those, by size; oldest first
  std::vector<DeviceMemory> inherited_;
  std::vector<Event> events_;
  std::vector<cudaEvent_t> idle_events_;  ///< of those, which nobody has
};

}  // namespace meshplan::runtime::cuda
