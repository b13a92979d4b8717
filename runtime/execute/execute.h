#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "planner/simulate/timeline.h"
#include "runtime/device/device.h"
#include "runtime/execute/observed.h"
#include "runtime/execute/training.h"

namespace meshplan::runtime {

/// A rank's part of a parameter's gradient; row-major.
struct GradientPart {
  std::string name;
  std::int64_t rows = 0, cols = 0;            ///< of the whole parameter
  std::int64_t first_row = 0, first_col = 0;  ///< where the part lies
  std::int64_t part_rows = 0, part_cols = 0;
  std::vector<float> values;
};

/// What one rank saw of a run.
struct RankResult {
  /// Mean over the global batch, by step; the same on every rank.
  std::vector<double> losses;
  /// Of the captured step, on the ranks of dp 0.
  std::vector<GradientPart> gradients;
  /// Of all steps, with rank = global rank.
  std::vector<planner::Span> spans;
  /// When its steps begin, and the last ends (planner::Timeline::step_starts): with a barrier at
  /// the optimizer as it leaves that of the step before.
  std::vector<profiles::Seconds> step_starts;
  /// Of asynchronous devices, in the groups of this rank; without the warm-up.
  std::vector<CollectiveTime> collectives;
  std::string remark;    ///< Device::remark, after the run
  MemoryUse peak;        ///< at the moment of the greatest total
  MemoryUse term_peaks;  ///< each term's own greatest
};

/// Runs `training` as the rank that `device.world()` seats: interprets the list of its stage, with
/// the dependencies of planner/schedule/dependencies.h kept by data arriving.
///
/// - Forward, Backward, InputGrad, WeightGrad compute. What another stage sends is awaited where it
///   is used, so Receive instructions only say that it may come; sends do not wait. Recompute is
///   part of the backward that follows, layer by layer: one layer's activations are rebuilt at a
///   time.
/// - GradientReduce and ParameterGather run where they stand, in the same order on all ranks of a
///   group. What a schedule does not list (replicated and tied parameters) is reduced before the
///   optimizer.
///
/// All ranks call it with the same `training`. Throws InputError (refuse_unsupported), and
/// RankFailure when another rank fails.
RankResult run_rank(const Training& training, Device& device);

/// As the rank that `device.world()` seats, a Lone one, without the others: spans and memory are
/// those of the rank, losses and gradients mean nothing.
RankResult run_lone_rank(const Training& training, Device& device);

/// Says what an instruction is, for the message of a failure: "step 2, instruction 14: forward of
/// chunk 1, micro-batch 3".
DescribePlace instruction_in_words(const Training& training);

}  // namespace meshplan::runtime
