#pragma once
#include <vector>

#include "runtime/execute/parameters.h"
#include "runtime/execute/rank_context.h"

namespace meshplan::runtime {

/// Sums gradients over the ranks that hold copies of a parameter, bucket by bucket, once a step.
///
///   over tp      parameters that every tensor-parallel rank holds but of whose gradient it saw
///   only
///                its own rows (sequence parallelism) or heads (shared key and value heads)
///   over dp      all: all-reduce, or under ZeRO-1 a reduce-scatter that leaves this rank its
///   shards over ends    the token table that the first and the last stage both hold
class GradientReduction {
 public:
  GradientReduction(RankContext& context, ModelState& state);

  void begin_step();
  /// Bucket `bucket` of segment `segment`, whose gradients are complete.
  void reduce(int segment, int bucket);
  /// Every bucket that has not been reduced in this step, then the tied table over the ends.
  void reduce_the_rest();

 private:
  void reduce_over_tp(int segment);
  void reduce_over_dp(int segment, int bucket);
  void reduce_over_ends(Segment& segment);

  RankContext& context_;
  ModelState& state_;
  std::vector<std::vector<bool>> reduced_;  ///< by segment and bucket
};

/// Refreshes the values of a bucket from the ranks' shards (ZeRO-1); nothing to do without shards.
void gather_parameters(RankContext& context, Segment& segment, int bucket);

/// As gather_parameters, for gradients: only needed to look at them.
void gather_gradients(RankContext& context, Segment& segment);

}  // namespace meshplan::runtime
