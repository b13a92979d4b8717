#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/device/cpu_device.h"

namespace meshplan::runtime {

/// A GPU of threads: every queue is a thread that does what was issued to it, in order, while the
/// host runs ahead; moments of one queue hold up another only where order() says so. What the
/// interpreter must get right on a GPU (who waits for whom, how long memory lives) shows here as
/// wrong sums, or to the sanitizers.
///
/// Memory is handed out again as soon as the host lets go of it, in the order of the compute queue,
/// as CudaDevice's arena does; what a transfer writes first comes fresh.
class StreamDevice final : public Device {
 public:
  explicit StreamDevice(Communicator& host);
  ~StreamDevice() override;

  [[nodiscard]] std::string description() const override { return "threads as streams"; }
  [[nodiscard]] bool asynchronous() const override { return true; }
  void* allocate(profiles::Bytes size, MemoryTerm term, Queue first_user) override;
  void release(void* memory, profiles::Bytes size, MemoryTerm term) override;
  void keep(std::shared_ptr<const void> owner, Moment moment) override;
  [[nodiscard]] MemoryCounter& memory() override { return counter_; }
  void launch(const kernels::Operation& operation) override;
  void upload(std::span<const std::byte> host, void* memory) override;
  void download(const void* memory, std::span<std::byte> host) override;
  void wait() override;
  Moment record(Queue queue) override;
  void order(Moment moment, Queue queue) override;
  [[nodiscard]] profiles::Seconds at(Moment moment) const override;
  [[nodiscard]] Communicator& world() override { return *world_; }

  /// Does `work` when the queue comes to it.
  void issue(Queue queue, std::function<void()> work);

 private:
  class Stream {
   public:
    Stream();
    ~Stream();
    void push(std::function<void()> work);
    void drain();

   private:
    void run();
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> work_;
    bool busy_ = false, stop_ = false;
    std::thread thread_;
  };
  struct Event {
    std::mutex mutex;
    std::condition_variable changed;
    bool passed = false;
    profiles::Seconds when{0};
  };

  void look_for_error();

  MemoryCounter counter_;
  kernels::cpu::Queue kernels_;
  std::map<std::int64_t, std::vector<void*>> idle_;
  std::map<void*, bool> apart_;
  std::vector<std::shared_ptr<Event>> events_;
  std::deque<std::pair<std::shared_ptr<const void>, Moment>> kept_;
  std::mutex error_mutex_;
  std::exception_ptr error_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::unique_ptr<Communicator> world_;
};

}  // namespace meshplan::runtime
