#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "runtime/cuda/cuda_device.h"
#include "runtime/cuda/green_contexts.h"
#include "runtime/cuda/local_seat.h"
#include "runtime/device/engine.h"

namespace meshplan::runtime::cuda {

/// NVIDIA GPUs of this process, and what ranks on one of them share.
class CudaEngine final : public Engine {
 public:
  /// Throws Error when there is no driver or no device.
  CudaEngine();

  [[nodiscard]] std::string description() const override;
  [[nodiscard]] std::vector<DeviceFacts> devices() const override;
  [[nodiscard]] DeviceLinks links(int ordinal) const override;
  profiles::Bytes free_memory(int ordinal) override;
  [[nodiscard]] DeviceState state(int ordinal) const override;
  [[nodiscard]] int multiprocessors_of_partition(int ordinal, int partitions) const override;
  std::unique_ptr<Device> open(Communicator& host, const SeatOptions& seat) override;

 private:
  /// Made by the first rank of a device that needs it; goes with the last.
  struct Shared {
    std::weak_ptr<const Epoch> epoch;
    std::weak_ptr<MailMemory> mail;
    std::weak_ptr<Streams> stream;  ///< Replay
    std::weak_ptr<kernels::cuda::Queue> kernels;
    std::map<int, std::weak_ptr<GreenContexts>> parts;  ///< by number of parts
  };

  /// Makes `ordinal` the thread's device, with its context. Under the mutex.
  void start(int ordinal);
  RankPlace place_of(const SeatOptions& seat);
  [[nodiscard]] std::string describe(const SeatOptions& seat, int multiprocessors) const;

  int count_ = 0;
  std::mutex mutex_;
  std::mutex streams_mutex_;
  std::map<int, Shared> shared_;            ///< by ordinal
  std::map<int, profiles::Bytes> context_;  ///< what the driver's context took, by ordinal
};

}  // namespace meshplan::runtime::cuda
