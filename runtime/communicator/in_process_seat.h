#pragma once
#include <cstddef>
#include <memory>
#include <utility>

#include "runtime/communicator/in_process_group.h"

namespace meshplan::runtime::in_process {

/// A rank's seat in a group of threads. Collectives work on the buffers that the ranks show to each
/// other; each rank reduces its own part over the ranks 0 .. n-1, in that order.
class Seat final : public Communicator {
 public:
  Seat(std::shared_ptr<Group> group, int rank, Queue queue = Queue::Compute)
      : group_(std::move(group)), rank_(rank), queue_(queue) {}

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return group_->size(); }
  [[nodiscard]] Queue queue() const override { return queue_; }

  void all_reduce(Buffer elements, Reduction reduction) override;
  void all_gather(ConstBuffer mine, Buffer all) override;
  void reduce_scatter(ConstBuffer all, Buffer mine) override;
  void broadcast(Buffer elements, int root) override;
  void all_to_all(ConstBuffer mine, Buffer theirs) override;
  void barrier() override { meet("barrier"); }

  void send(ConstBuffer elements, int peer, int tag) override;
  void await(int peer, int tag) override { group_->await_mail(peer, rank_, tag); }
  void receive(Buffer elements, int peer, int tag) override;
  void exchange(std::span<const Transfer> transfers) override;

  std::unique_ptr<Communicator> split(int colour, int key, Queue queue) override;

  void note(Place place) override { group_->world().note(group_->world_rank(rank_), place); }
  void fail(const std::string& reason) override {
    group_->world().fail(group_->world_rank(rank_), reason);
  }
  void look_for_failure() override {
    if (group_->world().failed()) group_->world().throw_failure();
  }

 private:
  void meet(const char* where) { group_->meet(rank_, where); }
  void show(ConstBuffer elements);
  /// The rank's share of n elements that all reduce together: shares differ by at most one.
  [[nodiscard]] std::size_t share_begin(std::size_t n, int rank) const { return n * rank / size(); }
  [[nodiscard]] Buffer share(Buffer elements, int rank) const;
  /// mine[i] <- reduction over the ranks, in order and in fp32, of shown[rank][begin + i].
  void reduce_into(Buffer mine, Reduction reduction, std::size_t begin) const;

  std::shared_ptr<Group> group_;
  int rank_;
  Queue queue_;  ///< a name: a thread has one queue
};

}  // namespace meshplan::runtime::in_process
