#pragma once
#include <span>

#include "kernels/tensor_view.h"

namespace meshplan::kernels {

// Softmax cross-entropy over a vocabulary that is split over the tensor-parallel ranks:
//
//   CrossEntropyMax   -> all-reduce max of row_max
//   CrossEntropySum   -> all-reduce sum of sum_exp and target_logit
//   CrossEntropyLoss  -> loss on every rank; the gradient of the rank's own logits
//
// A rank holds the classes [first_class, first_class + logits.cols). One rank alone skips the
// all-reduces. A target < 0 is ignored: its loss and gradients are 0.
// Source: Megatron-LM's vocabulary-parallel loss (arXiv 1909.08053, section 3), as an algorithm.

/// row_max[r] = max_c logits[r,c]
///
/// logits [rows, local vocabulary], cols >= 1; row_max [rows]. Exact.
struct CrossEntropyMax {
  ConstTensorView logits;
  std::span<float> row_max;
};

/// sum_exp[r]      = sum_c exp(logits[r,c] - row_max[r]), over the rank's own classes
/// target_logit[r] = logits[r, target] - row_max[r] if the rank holds the target, else 0
///
/// row_max is the maximum over all ranks. All vectors [rows].
/// Tolerance: 2e-6 relative for sum_exp.
struct CrossEntropySum {
  ConstTensorView logits;
  std::span<const std::int32_t> targets;
  std::int64_t first_class = 0;
  std::span<const float> row_max;
  std::span<float> sum_exp, target_logit;
};

/// loss[r]      = log(sum_exp[r]) - target_logit[r]
/// dlogits[r,c] = gradient_scale * (exp(logits[r,c] - row_max[r]) / sum_exp[r] - [c is target])
///
/// sum_exp and target_logit are the sums over all ranks. All vectors [rows].
/// dlogits [rows, local vocabulary]   empty: loss only; may be the same memory as logits
/// gradient_scale: 1 / tokens of the global batch, for the mean loss.
/// Tolerance: 2e-6 * (1 + |loss|); 4e-6 * |gradient_scale| for dlogits.
struct CrossEntropyLoss {
  ConstTensorView logits;
  std::span<const std::int32_t> targets;
  std::int64_t first_class = 0;
  std::span<const float> row_max, sum_exp, target_logit;
  float gradient_scale = 1.0F;
  std::span<float> loss;
  TensorView dlogits;
};

constexpr std::int64_t bytes_moved(const CrossEntropyMax& op) {
  return op.logits.bytes() + 4 * op.logits.rows;
}
constexpr std::int64_t bytes_moved(const CrossEntropySum& op) {
  return op.logits.bytes() + 4 * 4 * op.logits.rows;
}
constexpr std::int64_t bytes_moved(const CrossEntropyLoss& op) {
  return (op.dlogits.empty() ? 0 : op.logits.bytes() + op.dlogits.bytes()) + 5 * 4 * op.logits.rows;
}

}  // namespace meshplan::kernels
