#pragma once
#include <cstdint>

#include "runtime/device/tensor.h"
#include "runtime/execute/groups.h"
#include "runtime/execute/recorder.h"
#include "runtime/execute/training.h"

namespace meshplan::runtime {

/// What the pieces of the executor need to know about their rank.
///
/// Activations of a micro-batch are matrices of n = mbs * seq_len rows, sequence fastest. Under
/// sequence parallelism the residual stream is cut by rows in tp equal parts, else each
/// tensor-parallel rank holds all n rows.
struct RankContext {
  const Training& training;
  Device& device;
  Groups& groups;
  Recorder& recorder;
  Tensor cosine, sine;  ///< of rotary positions; empty: none
  std::int32_t step = 0;

  [[nodiscard]] const planner::Transformer& model() const { return training.model; }
  [[nodiscard]] const planner::Layout& layout() const { return training.layout; }
  [[nodiscard]] std::int64_t seq_len() const { return training.workload.seq_len; }
  [[nodiscard]] std::int64_t tokens() const { return layout().mbs * seq_len(); }
  [[nodiscard]] bool sequence_parallel() const { return layout().sp && layout().tp > 1; }
  /// Rows of the residual stream that this rank holds, and the first of them in the micro-batch.
  [[nodiscard]] std::int64_t local_tokens() const {
    return sequence_parallel() ? tokens() / layout().tp : tokens();
  }
  [[nodiscard]] std::int64_t first_local_token() const {
    return sequence_parallel() ? groups.here.tp * local_tokens() : 0;
  }
  /// Row of the global batch (sequence * seq_len + position) where the micro-batch starts.
  [[nodiscard]] std::int64_t first_row(int microbatch) const;

  /// Statistics, losses, gradients of parameters: always fp32.
  [[nodiscard]] Tensor tensor(std::int64_t rows, std::int64_t cols, MemoryTerm term) const {
    return {device, rows, cols, term};
  }
  /// Activations and their gradients, in the data type of the workload.
  [[nodiscard]] Tensor activation(std::int64_t rows, std::int64_t cols, MemoryTerm term) const {
    return {device, rows, cols, term, element_type(training)};
  }
  void run(const kernels::Operation& operation) const { device.launch(operation); }
};

}  // namespace meshplan::runtime
