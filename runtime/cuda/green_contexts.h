#pragma once
#include <cuda.h>
#include <cuda_runtime_api.h>

#include <memory>
#include <vector>

#include "runtime/cuda/handles.h"

namespace meshplan::runtime::cuda {

/// A device cut in equal parts of its multiprocessors, each with streams of its own: green
/// contexts, reached through the driver's entry points so that libcuda is not linked.
///
/// What the parts share is the memory, its bandwidth and the second-level cache. Disjoint
/// multiprocessors do not promise that kernels run at the same time (cuda.h), so nothing on the
/// device may spin for another part.
class GreenContexts {
 public:
  /// Throws Error when driver or device have none, or give fewer parts.
  GreenContexts(int ordinal, int parts);

  /// A new stream that runs on part `part`; it belongs to this object.
  cudaStream_t stream(int part, int priority);
  /// As the driver gave them.
  [[nodiscard]] int multiprocessors(int part) const { return multiprocessors_.at(part); }

 private:
  struct Destroy {
    void operator()(CUgreenCtx context) const;
  };
  std::vector<std::unique_ptr<CUgreenCtx_st, Destroy>> contexts_;
  std::vector<int> multiprocessors_;
  std::vector<Stream> streams_;  ///< of the contexts, so they go first
};

}  // namespace meshplan::runtime::cuda
