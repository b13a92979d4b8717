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
  Seat(std::shared_ptr<Group> group, int rank) : group_(std::move(group)), rank_(rank) {}

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return group_->size(); }

  void all_reduce(std::span<float> elements, Reduction reduction) override;
  void all_gather(std::span<const float> mine, std::span<float> all) override;
  void reduce_scatter(std::span<const float> all, std::span<float> mine) override;
  void broadcast(std::span<float> elements, int root) override;
  void all_to_all(std::span<const float> mine, std::span<float> theirs) override;
  void barrier() override { meet("barrier"); }

  void send(std::span<const float> elements, int peer, int tag) override;
  void await(int peer, int tag) override { group_->await_mail(peer, rank_, tag); }
  void receive(std::span<float> elements, int peer, int tag) override;
  void exchange(std::span<const Transfer> transfers) override;

  std::unique_ptr<Communicator> split(int colour, int key) override;

  void note(Place place) override { group_->world().note(group_->world_rank(rank_), place); }
  void fail(const std::string& reason) override {
    group_->world().fail(group_->world_rank(rank_), reason);
  }

 private:
  void meet(const char* where) { group_->meet(rank_, where); }
  void show(std::span<const float> elements);
  /// The rank's share of n elements that all reduce together: shares differ by at most one.
  [[nodiscard]] std::size_t share_begin(std::size_t n, int rank) const { return n * rank / size(); }
  [[nodiscard]] std::span<float> share(std::span<float> elements, int rank) const;
  /// mine[i] <- reduction over the ranks, in order, of shown[rank][begin + i].
  void reduce_into(std::span<float> mine, Reduction reduction, std::size_t begin) const;

  std::shared_ptr<Group> group_;
  int rank_;
};

}  // namespace meshplan::runtime::in_process
