#pragma once
#include <memory>
#include <string>

#include "runtime/communicator/communicator.h"
#include "runtime/communicator/mpi_world.h"

namespace meshplan::runtime::mpi {

/// A rank's seat in an MPI communicator. Every call is a non-blocking one that is polled, so that
/// each wait has a timeout and sees the failures of other ranks.
class Seat final : public Communicator {
 public:
  /// `comm` is freed by MPI_Finalize: freeing is collective, and ranks may have failed.
  Seat(std::shared_ptr<World> world, MPI_Comm comm, Queue queue = Queue::Compute);

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }
  [[nodiscard]] Queue queue() const override { return queue_; }

  void all_reduce(Buffer elements, Reduction reduction) override;
  void all_gather(ConstBuffer mine, Buffer all) override;
  void reduce_scatter(ConstBuffer all, Buffer mine) override;
  void broadcast(Buffer elements, int root) override;
  void all_to_all(ConstBuffer mine, Buffer theirs) override;
  void barrier() override;

  void send(ConstBuffer elements, int peer, int tag) override;
  void await(int peer, int tag) override;
  void receive(Buffer elements, int peer, int tag) override;
  void exchange(std::span<const Transfer> transfers) override;

  std::unique_ptr<Communicator> split(int colour, int key, Queue queue) override;

  void note(Place place) override { world_->note(place); }
  void fail(const std::string& reason) override { world_->fail(reason); }
  void look_for_failure() override { world_->look_for_failure(); }

 private:
  template <typename Start>
  void collective(const char* where, const Start& start);

  std::shared_ptr<World> world_;
  MPI_Comm comm_;
  Queue queue_;  ///< a name: a thread has one queue
  int rank_ = 0, size_ = 1;
};

}  // namespace meshplan::runtime::mpi
