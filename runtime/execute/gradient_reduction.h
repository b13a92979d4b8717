#pragma once
#include <deque>
#include <optional>
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
  /// Bucket `bucket` of segment `segment`, whose gradients are complete; once a step.
  void reduce(int segment, int bucket);
  /// The buckets that lie at or behind `first`: gradients are complete from there on. So layers
  /// that are done reduce while those before them still run backward.
  void reduce_from(int segment, const void* first);
  /// Every bucket that has not been reduced in this step, then the tied table over the ends.
  /// Computing goes on when all are there.
  void reduce_the_rest();

 private:
  void reduce_over_tp(int segment, const void* first);
  void reduce_over_dp(int segment, int bucket);
  void reduce_over_ends(Segment& segment);

  RankContext& context_;
  ModelState& state_;
  std::vector<std::vector<bool>> reduced_;  ///< by segment and bucket
  std::vector<bool> tp_reduced_;            ///< by parameter
  std::optional<Moment> last_;              ///< when all that was issued is done
};

/// Refreshes values from the ranks' shards (ZeRO-1). Gathers run beside computing, which waits for
/// a part of the values where it uses it.
class ParameterGathers {
 public:
  ParameterGathers(RankContext& context, ModelState& state)
      : context_(context), state_(state), under_way_(state.segments.size()) {}

  /// A bucket; those of a segment are gathered from its front on. Nothing to do without shards.
  void gather(int segment, int bucket);
  /// Computing needs the values of `segment` that lie before `end`; null: all of them.
  void use(int segment, const void* end);

 private:
  struct Gather {
    const void* begin = nullptr;
    Moment there;
  };

  RankContext& context_;
  ModelState& state_;
  std::vector<std::deque<Gather>> under_way_;  ///< by segment, in the order of issue
};

/// As ParameterGathers, for gradients: only needed to look at them.
void gather_gradients(RankContext& context, Segment& segment);

}  // namespace meshplan::runtime
