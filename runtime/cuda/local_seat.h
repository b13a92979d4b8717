#pragma once
#include <cuda_runtime_api.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "runtime/communicator/communicator.h"
#include "runtime/cuda/cuda_device.h"
#include "runtime/cuda/mail_memory.h"

namespace meshplan::runtime::cuda {

/// A rank's seat in a group of virtual ranks of one device. Data moves by copies and reductions on
/// the device; ranks wait for each other by events alone, so that nothing spins on it and a rank
/// that runs late costs time, never a hang.
///
/// `host`, the same group over memory of the host, carries pointers and events: a rank publishes
/// its event after it has been recorded, so whatever waits for it was issued later and no order of
/// streams can deadlock. Reductions go over the ranks 0 .. n-1 in that order.
class LocalSeat final : public Communicator {
 public:
  /// `owned` or `device`'s own host group; see `host` above.
  LocalSeat(CudaDevice& device, Communicator& host, std::shared_ptr<MailMemory> mail, Queue queue);
  LocalSeat(CudaDevice& device, std::unique_ptr<Communicator> host,
            std::shared_ptr<MailMemory> mail, Queue queue);
  ~LocalSeat() override;

  [[nodiscard]] int rank() const override { return host_.rank(); }
  [[nodiscard]] int size() const override { return host_.size(); }
  [[nodiscard]] Queue queue() const override { return queue_; }

  void all_reduce(Buffer elements, Reduction reduction) override;
  void all_gather(ConstBuffer mine, Buffer all) override;
  void reduce_scatter(ConstBuffer all, Buffer mine) override;
  void broadcast(Buffer elements, int root) override;
  void all_to_all(ConstBuffer mine, Buffer theirs) override;
  void barrier() override;

  void send(ConstBuffer elements, int peer, int tag) override;
  void await(int peer, int tag) override { host_.await(peer, tag); }
  void receive(Buffer elements, int peer, int tag) override;
  void exchange(std::span<const Transfer> transfers) override;

  std::unique_ptr<Communicator> split(int colour, int key, Queue queue) override;

  void note(Place place) override { host_.note(place); }
  void fail(const std::string& reason) override { host_.fail(reason); }
  void look_for_failure() override { host_.look_for_failure(); }

 private:
  /// What a rank shows to the others: a buffer, and the moment from which it may be used.
  struct Shown {
    void* data = nullptr;
    std::size_t count = 0;
    cudaEvent_t ready = nullptr;
    kernels::ElementType type = kernels::ElementType::F32;
  };

  /// Shows `elements` as they are after the work issued so far, and has the queue wait for what the
  /// others show.
  std::vector<Shown> meet(ConstBuffer elements);
  [[nodiscard]] cudaStream_t stream() const { return device_.stream(queue_); }
  void copy(const void* from, void* to, std::size_t bytes);
  void reduce_into(Buffer mine, const std::vector<Shown>& shown, std::size_t begin,
                   Reduction reduction);

  CudaDevice& device_;
  std::unique_ptr<Communicator> owned_;
  Communicator& host_;
  std::shared_ptr<MailMemory> mail_;
  Queue queue_;
  /// Used in turn. When one comes round again all ranks have met since, so their waits for it have
  /// been issued.
  std::array<cudaEvent_t, 8> events_{};
  std::size_t next_event_ = 0;
};

}  // namespace meshplan::runtime::cuda
