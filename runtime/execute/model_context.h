#pragma once
#include <cstdint>

#include "planner/layout/layout.h"
#include "planner/model/transformer.h"
#include "runtime/device/tensor.h"
#include "runtime/execute/groups.h"
#include "runtime/execute/recorder.h"

namespace meshplan::runtime {

/// What a forward pass needs to know about its rank, in training and while serving.
///
/// Activations are matrices of one row a token. Under sequence parallelism the residual stream is
/// cut by rows in tp equal parts, else each tensor-parallel rank holds all rows.
struct ModelContext {
  const planner::Transformer& transformer;
  const planner::Layout& axes;
  kernels::ElementType element;  ///< of activations and of the parameters that operations read
  Device& device;
  Groups& groups;
  Recorder& recorder;

  [[nodiscard]] const planner::Transformer& model() const { return transformer; }
  [[nodiscard]] const planner::Layout& layout() const { return axes; }
  [[nodiscard]] bool sequence_parallel() const { return layout().sp && layout().tp > 1; }

  /// Statistics, losses, gradients of parameters: always fp32.
  [[nodiscard]] Tensor tensor(std::int64_t rows, std::int64_t cols, MemoryTerm term) const {
    return {device, rows, cols, term};
  }
  /// Activations and their gradients.
  [[nodiscard]] Tensor activation(std::int64_t rows, std::int64_t cols, MemoryTerm term) const {
    return {device, rows, cols, term, element};
  }
  void run(const kernels::Operation& operation) const { device.launch(operation); }
};

}  // namespace meshplan::runtime
