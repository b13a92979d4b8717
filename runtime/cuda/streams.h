#pragma once
#include <cuda_runtime_api.h>

#include <array>
#include <memory>
#include <mutex>

#include "runtime/communicator/queue.h"
#include "runtime/cuda/green_contexts.h"
#include "runtime/cuda/handles.h"

namespace meshplan::runtime::cuda {

/// The stream of each queue of a rank. Communication has the higher priority: its kernels are
/// small, and peers wait for them.
class Streams {
 public:
  /// Of its own on the current device.
  static std::shared_ptr<Streams> own();
  /// One stream under all names: what is issued runs one thing after the other.
  static std::shared_ptr<Streams> single();
  /// On a part of a device. `mutex` guards `parts`, which ranks share.
  static std::shared_ptr<Streams> of_partition(std::shared_ptr<GreenContexts> parts, int part,
                                               std::mutex& mutex);

  [[nodiscard]] cudaStream_t operator[](Queue queue) const {
    return streams_[static_cast<std::size_t>(queue)];
  }

 private:
  Streams() = default;

  std::array<cudaStream_t, kQueues> streams_{};
  std::array<Stream, kQueues> owned_;     ///< those that are no part's
  std::shared_ptr<GreenContexts> parts_;  ///< the owner of the others
};

}  // namespace meshplan::runtime::cuda
