#pragma once
#include <vector>

#include "runtime/execute/parameters.h"
#include "runtime/execute/rank_context.h"

namespace meshplan::runtime {

/// Before a column-parallel product and, backward, after a row-parallel one. Under sequence
/// parallelism all rows [n, h] from the ranks' parts [n / t, h]; else `part` itself.
Tensor gathered(ModelContext& context, const Tensor& part);

/// After a row-parallel product and, backward, before a column-parallel one: the sum of the ranks'
/// `partial` [n, h]; under sequence parallelism this rank's rows of it. Without, in place.
Tensor reduced(ModelContext& context, Tensor partial, MemoryTerm term);

/// What dropout `place` of this step draws from; `place` numbers the dropouts of one step.
kernels::RandomKey dropout_key(const RankContext& context, int place);

/// y <- dropout(y + bias) + residual, in place; the same elements drop in every layout.
void add_to_residual(RankContext& context, const Tensor& y, const Weight& bias,
                     const Tensor& residual, int place, int microbatch);
/// The gradient of y + bias above from that of the sum: `gradient` itself without dropout.
Tensor dropout_gradient(RankContext& context, const Tensor& gradient, int place, int microbatch);
/// y <- dropout(y)
void drop(RankContext& context, const Tensor& y, int place, int microbatch);

/// A product that adds to the gradient of a weight: weight += left^T right, bias += column sums of
/// `summed`. Parts are gathered first where it says so.
struct WeightGradient {
  Tensor left, right;
  bool gather_left = false, gather_right = false;
  Weight weight;
  Weight bias;  ///< empty: none
  Tensor summed;
};
void run(RankContext& context, const WeightGradient& gradient);

/// Weight gradients of one micro-batch and chunk: run at once, or kept for a WeightGrad
/// instruction.
class WeightGradients {
 public:
  explicit WeightGradients(bool kept = false) : kept_(kept) {}
  void add(RankContext& context, WeightGradient gradient);
  void run_kept(RankContext& context);

 private:
  bool kept_;
  std::vector<WeightGradient> waiting_;
};

}  // namespace meshplan::runtime
