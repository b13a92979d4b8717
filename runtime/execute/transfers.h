#pragma once
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "planner/schedule/schedule.h"
#include "runtime/execute/rank_context.h"

namespace meshplan::runtime {

/// What chunks hand to each other: activations forward, gradients backward; on one stage by hand,
/// between stages over the two pipeline groups.
///
/// Sends and receives are issued in the order of the schedule, which both sides share, so that no
/// order of theirs can deadlock. An asynchronous device posts a receive where the schedule has it,
/// in memory of its own, and computing waits for it where it is used; a thread of the host
/// receives where it is used.
class PipelineTransfers {
 public:
  explicit PipelineTransfers(RankContext& context) : context_(context) {}

  /// `chunk` has made its output (forward) or the gradient of its input.
  void give(int chunk, int microbatch, bool forward, Tensor tensor);
  /// The transfers of one group of the schedule; the instruction that is recorded is `instruction`
  /// and those after it.
  void post(std::span<const planner::Instruction> group, int instruction);
  /// What `chunk` computes with: its input (forward), or the gradient of its output.
  Tensor take(int chunk, int microbatch, bool forward);

 private:
  using Key = std::pair<int, int>;  ///< chunk, micro-batch
  struct Received {
    Tensor tensor;
    Moment there;
  };

  void post(std::span<const planner::Instruction> group, int instruction, bool forward);
  [[nodiscard]] Communicator& group_of(bool forward) const;
  [[nodiscard]] int tag(int receiving_chunk, int microbatch, bool forward) const;
  [[nodiscard]] Tensor boundary(bool forward, Queue first_user) const;
  Tensor taken(int chunk, int microbatch, bool forward);

  RankContext& context_;
  std::map<Key, Tensor> made_[2];        ///< by forward; made here, for the next or previous chunk
  std::map<Key, Received> received_[2];  ///< by forward; posted, for the chunk
};

}  // namespace meshplan::runtime
