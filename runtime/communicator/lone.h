#pragma once
#include <functional>
#include <utility>

#include "runtime/communicator/communicator.h"

namespace meshplan::runtime {

/// How a lone rank moves numbers in the memory that its tensors lie in.
struct LoneMemory {
  std::function<void(ConstBuffer, Buffer)> copy;  ///< between buffers of one size and type
  std::function<void(Buffer)> fill;               ///< with ordinary numbers
};
LoneMemory host_memory();

/// A seat in a group of `size` ranks of which no other is there: for timing one rank's computation
/// and counting its memory without the others. Calls return at once. What the others would send are
/// ordinary numbers without a meaning: a sum is this rank's own share, every part of a gather its
/// own part, a message whatever fills memory.
class Lone final : public Communicator {
 public:
  /// `watched`: told of progress, and asked for failures; it must outlive this.
  Lone(int rank, int size, Communicator& watched, LoneMemory memory = host_memory())
      : rank_(rank), size_(size), watched_(watched), memory_(std::move(memory)) {}

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int size() const override { return size_; }

  void all_reduce(Buffer elements, Reduction reduction) override;
  void all_gather(ConstBuffer mine, Buffer all) override;
  void reduce_scatter(ConstBuffer all, Buffer mine) override;
  void broadcast(Buffer elements, int root) override;
  void all_to_all(ConstBuffer mine, Buffer theirs) override;
  void barrier() override {}
  void send(ConstBuffer elements, int peer, int tag) override;
  void await(int peer, int tag) override;
  void receive(Buffer elements, int peer, int tag) override;
  void exchange(std::span<const Transfer> transfers) override;
  /// Throws std::logic_error: nobody says how large the part would be.
  std::unique_ptr<Communicator> split(int colour, int key, Queue queue) override;

  void note(Place place) override { watched_.note(place); }
  void fail(const std::string& reason) override { watched_.fail(reason); }
  void look_for_failure() override { watched_.look_for_failure(); }

 private:
  void copy(ConstBuffer from, Buffer to) const;

  int rank_, size_;
  Communicator& watched_;
  LoneMemory memory_;
};

}  // namespace meshplan::runtime
