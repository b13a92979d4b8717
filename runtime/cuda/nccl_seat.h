#pragma once
#include <nccl.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/communicator/communicator.h"
#include "runtime/cuda/cuda_device.h"

namespace meshplan::runtime::cuda {

/// Looks after the communicators of one rank on a thread of its own: an error of NCCL, or a rank
/// that has failed, aborts them all, so that kernels that wait for a peer end and nothing hangs.
class NcclWatch {
 public:
  /// `host`: all ranks over host memory.
  explicit NcclWatch(Communicator& host);
  ~NcclWatch();
  NcclWatch(const NcclWatch&) = delete;
  NcclWatch& operator=(const NcclWatch&) = delete;

  /// Runs `call` while no communicator is being aborted; throws if they have been.
  void guarded(const std::function<void()>& call);
  void add(ncclComm_t comm);
  /// Ends a communicator whose calls are done, if `quiet` and all is well; else aborts all of them.
  /// Whether it ended quietly.
  bool end(ncclComm_t comm, bool quiet);
  /// What is being issued, for the message of a failure.
  void note(const char* call);

 private:
  void watch();
  void abort_all();

  Communicator& host_;
  std::mutex mutex_;
  std::vector<ncclComm_t> comms_;
  bool aborted_ = false, stop_ = false;
  const char* call_ = "nothing";
  std::int64_t calls_ = 0;
  std::condition_variable changed_;
  std::thread thread_;
};

/// A rank's seat in a group of devices that NCCL connects. Calls are issued to the stream of the
/// group's queue; NCCL matches them by their order, which is the plan's, so tags say nothing here.
///
/// Communicators are non-blocking: every call is polled, with a timeout, and ends when another rank
/// has failed. `host`, the same group over memory of the host, carries the 128 bytes that start a
/// communicator, and failures.
///
/// ncclGroupSimulateEnd does not simulate on a non-blocking communicator: it issues the call (NCCL
/// 2.22 to 2.28, group.cc). So estimates come from a blocking one, made when they are first asked
/// for, on a thread of its own, so that its start has a timeout too.
///
/// Source of what must hold: NCCL user guide, "Communicators", "Group calls", "Fault tolerance".
class NcclSeat final : public Communicator {
 public:
  /// All ranks. `alone`: a communicator of NCCL even for one rank.
  NcclSeat(CudaDevice& device, Communicator& host, bool alone);
  ~NcclSeat() override;

  [[nodiscard]] int rank() const override { return host_.rank(); }
  [[nodiscard]] int size() const override { return host_.size(); }
  [[nodiscard]] Queue queue() const override { return queue_; }

  void all_reduce(Buffer elements, Reduction reduction) override;
  void all_gather(ConstBuffer mine, Buffer all) override;
  void reduce_scatter(ConstBuffer all, Buffer mine) override;
  void broadcast(Buffer elements, int root) override;
  void all_to_all(ConstBuffer mine, Buffer theirs) override;
  /// The queue goes on when the queues of all ranks have come here.
  void barrier() override;

  void send(ConstBuffer elements, int peer, int tag) override;
  void await(int /*peer*/, int /*tag*/) override {}  // the queue waits in receive
  void receive(Buffer elements, int peer, int tag) override;
  void exchange(std::span<const Transfer> transfers) override;

  std::unique_ptr<Communicator> split(int colour, int key, Queue queue) override;
  std::optional<profiles::Seconds> estimated(CollectiveCall call, std::size_t count,
                                             kernels::ElementType type) override;

  void note(Place place) override { host_.note(place); }
  void fail(const std::string& reason) override { host_.fail(reason); }
  void look_for_failure() override { host_.look_for_failure(); }

 private:
  NcclSeat(CudaDevice& device, std::unique_ptr<Communicator> host, std::shared_ptr<NcclWatch> watch,
           Queue queue, bool alone);
  void start();
  /// A new id, the same on all ranks. Collective.
  ncclUniqueId shared_id();
  /// A communicator of this group, with an id of its own; null where it could not be made.
  ncclComm_t start_blocking();
  /// `quiet`: all calls are done. Else ends by abort, and waits for the stream.
  void end(bool quiet);
  void issue(const char* name, const std::function<ncclResult_t()>& call);
  /// Polls until what was said to the communicator last is issued.
  void wait_until_issued(const std::string& what);
  [[nodiscard]] cudaStream_t stream() const { return device_.stream(queue_); }
  void copy(ConstBuffer from, Buffer to);

  CudaDevice& device_;
  std::unique_ptr<Communicator> owned_;
  Communicator& host_;
  std::shared_ptr<NcclWatch> watch_;
  Queue queue_;
  bool alone_;
  ncclComm_t comm_ = nullptr;       ///< none: one rank, whose calls are copies
  ncclComm_t estimator_ = nullptr;  ///< blocking; only simulates
  bool no_estimator_ = false;       ///< it could not be made
  DeviceMemory flag_;               ///< a float that barriers reduce
};

}  // namespace meshplan::runtime::cuda
