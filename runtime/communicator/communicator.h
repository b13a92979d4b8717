#pragma once
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "profiles/units.h"
#include "runtime/communicator/buffer.h"
#include "runtime/communicator/queue.h"
#include "runtime/communicator/rank_failure.h"

namespace meshplan::runtime {

enum class Reduction { Sum, Max };

/// Calls of a group whose time libraries estimate and the planner predicts.
enum class CollectiveCall { AllReduce, AllGather, ReduceScatter };
constexpr int kCollectiveCalls = 3;
/// "all_reduce", ...
constexpr const char* name(CollectiveCall call) {
  return call == CollectiveCall::AllReduce   ? "all_reduce"
         : call == CollectiveCall::AllGather ? "all_gather"
                                             : "reduce_scatter";
}

/// One half of a message between two ranks of a group.
struct Transfer {
  enum class Kind { Send, Receive };
  Kind kind = Kind::Send;
  int peer = 0;  ///< rank in the group
  int tag = 0;   ///< >= 0; messages of one pair and tag arrive in the order in which they were sent
  Buffer elements;  ///< of a send only read
};

/// A rank's seat in a group of ranks. Implementations: threads of one process (in_process.h), MPI
/// (mpi.h), and those of the GPU engine.
///
/// On the host calls block until the buffers may be used again. On a GPU they are issued to the
/// group's queue() and buffers belong to them until that queue has passed; what waits is the
/// queue, and only split() waits on the host. All ranks of a group make the same collective calls
/// in the same order with buffers of the same size and type; ranks may mix groups freely as long as
/// one global order of all calls exists. Sums of bf16 are taken in fp32 and rounded once where the
/// order of sums is ours. Every wait ends with RankFailure when another rank fails or the timeout
/// passes. One thread per rank uses its communicators.
class Communicator {
 public:
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  virtual ~Communicator() = default;

  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;
  /// Where calls are issued.
  [[nodiscard]] virtual Queue queue() const { return Queue::Compute; }

  /// elements[i] <- reduction of elements[i] over the ranks, in place; the same bits on every rank.
  virtual void all_reduce(Buffer elements, Reduction reduction) = 0;
  /// all <- the ranks' `mine`, in rank order; all.count == size() * mine.count. `mine` may be the
  /// rank's own part of `all`.
  virtual void all_gather(ConstBuffer mine, Buffer all) = 0;
  /// mine <- part rank() of the sum of `all` over the ranks; all.count == size() * mine.count.
  /// `mine` may be the rank's own part of `all`.
  virtual void reduce_scatter(ConstBuffer all, Buffer mine) = 0;
  /// elements <- those of rank `root`.
  virtual void broadcast(Buffer elements, int root) = 0;
  /// Part j of `mine` goes to rank j, whose part i of `theirs` comes from rank i.
  virtual void all_to_all(ConstBuffer mine, Buffer theirs) = 0;
  virtual void barrier() = 0;

  /// Does not wait for the receiver.
  virtual void send(ConstBuffer elements, int peer, int tag) = 0;
  /// On the host: waits until a message from `peer` with `tag` can be received at once.
  virtual void await(int peer, int tag) = 0;
  virtual void receive(Buffer elements, int peer, int tag) = 0;
  /// All of `transfers` together, like one NCCL group: no order among them can deadlock.
  virtual void exchange(std::span<const Transfer> transfers) = 0;

  /// The group of the ranks that name the same `colour` >= 0, ordered by (key, rank), whose calls
  /// go to `queue`. Collective.
  virtual std::unique_ptr<Communicator> split(int colour, int key,
                                              Queue queue = Queue::Compute) = 0;

  /// What the library that moves the data expects `call` to take on a whole (reduced, gathered or
  /// scattered) buffer of `count` elements, if it says. Collective: the first time it may connect
  /// the ranks anew.
  virtual std::optional<profiles::Seconds> estimated(CollectiveCall call, std::size_t count,
                                                     kernels::ElementType type) {
    (void)call, (void)count, (void)type;
    return std::nullopt;
  }

  /// Tells the others how far this rank is; cheap, for the message of a failure.
  virtual void note(Place place) = 0;
  /// Ends every other rank's wait with RankFailure, now or when it next waits. Any thread.
  virtual void fail(const std::string& reason) = 0;
  /// Throws RankFailure if a rank is known to have failed. Any thread.
  virtual void look_for_failure() = 0;
};

}  // namespace meshplan::runtime
