#pragma once
#include <array>
#include <cstddef>
#include <memory>
#include <new>

#include "kernels/cpu/kernels.h"

namespace meshplan::kernels::cpu {

struct GemmCache;  ///< prepared primitives, known to the GEMM library's file

/// Memory on a cache line that grows and is kept; what it held is lost when it grows.
class Scratch {
 public:
  float* floats(std::int64_t count) {
    if (static_cast<std::size_t>(count) > size_) {
      memory_.reset();
      memory_.reset(static_cast<float*>(::operator new (
          static_cast<std::size_t>(count) * sizeof(float), std::align_val_t{kAlignment})));
      size_ = static_cast<std::size_t>(count);
    }
    return memory_.get();
  }

 private:
  static constexpr std::size_t kAlignment = 64;
  struct Release {
    void operator()(float* memory) const {
      ::operator delete (memory, std::align_val_t{kAlignment});
    }
  };
  std::unique_ptr<float, Release> memory_;
  std::size_t size_ = 0;
};

struct Queue::State {
  InstructionSet instruction_set = InstructionSet::Baseline;
  /// Slots 0-3: parameters in fp32 and operands of a GEMM. Slots 4-15: tiles of attention, which
  /// calls GEMM.
  std::array<Scratch, 16> scratch;
  std::shared_ptr<GemmCache> gemm_cache;
};

/// `view`, or a copy of it in fp32 in scratch memory.
ConstTensorView as_floats(const ConstTensorView& view, Scratch& scratch, Queue& queue);

}  // namespace meshplan::kernels::cpu
