#pragma once
#include <cuda_runtime_api.h>

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernels/cuda/kernels.h"
#include "runtime/cuda/arena.h"
#include "runtime/cuda/event_clock.h"
#include "runtime/cuda/handles.h"
#include "runtime/cuda/mail_memory.h"
#include "runtime/cuda/staging.h"
#include "runtime/cuda/streams.h"
#include "runtime/device/device.h"

namespace meshplan::runtime::cuda {

/// What a rank is given on a device.
struct RankPlace {
  int ordinal = 0;
  std::string description;
  std::shared_ptr<Streams> streams;
  /// The queue of the kernels on the compute stream; ranks that take turns share one.
  std::shared_ptr<kernels::cuda::Queue> kernels;
  std::shared_ptr<const Epoch> epoch;
  std::shared_ptr<MailMemory> mail;  ///< of virtual ranks; none for a rank on its own
  profiles::Seconds timeout{60};     ///< of a wait for the device
  profiles::Bytes context;           ///< that the driver's context took; 0: not known
};

/// One GPU, or a part of one, as the device of one rank: a stream a queue, operations by
/// kernels/cuda, moments as events. Used by the rank's thread.
///
/// Memory. What the compute queue writes first comes from one arena: it is handed out again in the
/// order of issue, which is the order of that queue. What a transfer writes first (a receive) lies
/// in blocks of its own: before one is used again the queue waits for the moment when computing
/// let go of it; two are kept in reserve, so that this is long past.
class CudaDevice final : public Device {
 public:
  /// `host`: the group of all ranks over host memory. `make_world` makes that over device memory.
  using MakeWorld = std::function<std::unique_ptr<Communicator>(CudaDevice&)>;
  CudaDevice(RankPlace place, Communicator& host, const MakeWorld& make_world);
  ~CudaDevice() override;

  [[nodiscard]] std::string description() const override { return place_.description; }
  [[nodiscard]] bool asynchronous() const override { return true; }
  void* allocate(profiles::Bytes size, MemoryTerm term, Queue first_user) override;
  void release(void* memory, profiles::Bytes size, MemoryTerm term) override;
  void keep(std::shared_ptr<const void> owner, Moment moment) override;
  [[nodiscard]] MemoryCounter& memory() override { return counter_; }
  [[nodiscard]] FixedMemory fixed_memory() const override;
  [[nodiscard]] std::string remark() const override {
    return kernels::cuda::attention_in_words(*place_.kernels);
  }
  void launch(const kernels::Operation& operation) override;
  void upload(std::span<const std::byte> host, void* memory) override;
  void download(const void* memory, std::span<std::byte> host) override;
  void wait() override;
  Moment record(Queue queue) override;
  void order(Moment moment, Queue queue) override;
  [[nodiscard]] profiles::Seconds at(Moment moment) const override { return clock_.at(moment); }
  [[nodiscard]] Communicator& world() override { return *world_; }

  [[nodiscard]] int ordinal() const { return place_.ordinal; }
  [[nodiscard]] cudaStream_t stream(Queue queue) const { return (*place_.streams)[queue]; }
  [[nodiscard]] const std::shared_ptr<MailMemory>& mail() const { return place_.mail; }
  [[nodiscard]] kernels::cuda::Queue& kernels() const { return *place_.kernels; }
  [[nodiscard]] profiles::Seconds timeout() const { return place_.timeout; }
  /// Polls `done` until it holds; ends with RankFailure when another rank fails, or the timeout
  /// passes. `where` = what is waited for.
  void poll(const std::string& where, const std::function<bool()>& done);
  /// Polls until the work issued to `queue` so far is done.
  void wait_for(Queue queue, const char* where);
  /// Tells how much device memory `work` took from the driver, and counts it as communicators'.
  void measure_communicator(const std::function<void()>& work);

 private:
  void* allocate_apart(profiles::Bytes size, Queue first_user);

  /// A block that a transfer writes first.
  struct Apart {
    void* memory = nullptr;
    Moment released;
  };

  RankPlace place_;
  Communicator& host_;
  MemoryCounter counter_;
  std::vector<DeviceMemory> blocks_;  ///< of the arena
  Arena arena_;
  std::unordered_map<void*, DeviceMemory> apart_;             ///< by address
  std::unordered_map<std::int64_t, std::deque<Apart>> idle_;  ///< of those, by size; oldest first
  mutable EventClock clock_;  ///< tells times when they are asked for
  Staging staging_;
  std::deque<std::pair<std::shared_ptr<const void>, Moment>> kept_;
  profiles::Bytes communicators_{};
  std::unique_ptr<Communicator> world_;
};

}  // namespace meshplan::runtime::cuda
