#pragma once
#include <memory>
#include <string>
#include <vector>

#include "runtime/communicator/tcp_world.h"

namespace meshplan::runtime::tcp {

/// A rank's seat in a group of processes. Collectives go to the group's first rank and back.
class Seat final : public Communicator {
 public:
  /// `members`: ranks in the world, in the group's order. `group`: the same number on all of them,
  /// and no other group's.
  Seat(std::shared_ptr<World> world, std::vector<int> members, int rank, std::uint64_t group,
       Queue queue = Queue::Compute);

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return static_cast<int>(members_.size()); }
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
  std::shared_ptr<World> world_;
  std::vector<int> members_;
  int rank_;
  std::uint64_t group_;
  Queue queue_;
  std::uint64_t splits_ = 0;
};

}  // namespace meshplan::runtime::tcp
