#pragma once
#include <memory>

#include "kernels/cuda/gemm_problem.h"

namespace meshplan::kernels::cuda {

/// A handle of cuBLASLt, its workspace, and the problems prepared so far: descriptions and the
/// algorithm that its heuristics put first.
class GemmLibrary {
 public:
  explicit GemmLibrary(const QueueOptions& options);
  ~GemmLibrary();
  GemmLibrary(const GemmLibrary&) = delete;
  GemmLibrary& operator=(const GemmLibrary&) = delete;

  bool multiplies(const BatchedGemm& gemm);
  void multiply(const BatchedGemm& gemm, CUstream_st* stream);
  [[nodiscard]] std::int64_t held_bytes() const;

  struct State;

 private:
  std::unique_ptr<State> state_;
};

}  // namespace meshplan::kernels::cuda
