#pragma once
#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/cuda/queue.h"
#include "kernels/tensor_view.h"
#include "runtime/communicator/communicator.h"

namespace meshplan::runtime::cuda {

/// The most virtual ranks of one device.
inline constexpr int kMostLocalRanks = 64;

/// out[i] = reduction over r = 0 .. ranks-1, in that order, of from[r][begin + i], i < count
///
/// from  the ranks' buffers in the memory of one device, of `type`
/// out   [count]; may be elements begin .. of one of them
/// Sums are taken in fp32 and rounded once; the same bits in every run.
///
/// Bytes moved: (ranks + 1) * count * size of the type.
struct Reduce {
  const void* from[kMostLocalRanks] = {};  // arrays of std have no element for kernels
  int ranks = 1;
  void* out = nullptr;
  std::int64_t begin = 0, count = 0;
  kernels::ElementType type = kernels::ElementType::F32;
  Reduction reduction = Reduction::Sum;
};
/// Issues it to `stream`, one of the queue's device.
void reduce(const Reduce& op, kernels::cuda::Queue& queue, cudaStream_t stream);

}  // namespace meshplan::runtime::cuda
