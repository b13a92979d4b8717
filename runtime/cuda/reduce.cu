#include <cuda_bf16.h>

#include "runtime/cuda/check.h"
#include "runtime/cuda/reduce.h"

namespace meshplan::runtime::cuda {
namespace {

__device__ float as_float(float x) { return x; }
__device__ float as_float(__nv_bfloat16 x) { return __bfloat162float(x); }
__device__ void round_to(float x, float& y) { y = x; }
__device__ void round_to(float x, __nv_bfloat16& y) { y = __float2bfloat16_rn(x); }

/// kWidth elements that are loaded at once.
template <class Element, int kWidth>
struct alignas(sizeof(Element) * kWidth) Pack {
  Element at[kWidth];
};

/// One thread a pack of kWidth elements, striding over the grid.
template <class Element, int kWidth>
__global__ void reduce_packs(const __grid_constant__ Reduce op) {
  using Elements = Pack<Element, kWidth>;
  const std::int64_t packs = op.count / kWidth;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < packs;
       i += step) {
    float sum[kWidth];
    for (int r = 0; r < op.ranks; ++r) {
      const Elements theirs =
          reinterpret_cast<const Elements*>(static_cast<const Element*>(op.from[r]) + op.begin)[i];
#pragma unroll
      for (int e = 0; e < kWidth; ++e) {
        const float value = as_float(theirs.at[e]);
        if (r == 0) {
          sum[e] = value;
        } else if (op.reduction == Reduction::Sum) {
          sum[e] += value;
        } else {
          sum[e] = fmaxf(sum[e], value);
        }
      }
    }
    Elements out;
#pragma unroll
    for (int e = 0; e < kWidth; ++e) round_to(sum[e], out.at[e]);
    reinterpret_cast<Elements*>(op.out)[i] = out;
  }
}

/// 16-byte loads need every buffer at a multiple of 16 bytes and whole packs.
template <class Element, int kWidth>
bool wide(const Reduce& op) {
  const auto aligned = [](const Element* p) {
    return reinterpret_cast<std::uintptr_t>(p) % sizeof(Pack<Element, kWidth>) == 0;
  };
  if (op.count % kWidth != 0 || !aligned(static_cast<const Element*>(op.out))) return false;
  for (int r = 0; r < op.ranks; ++r) {
    if (!aligned(static_cast<const Element*>(op.from[r]) + op.begin)) return false;
  }
  return true;
}

template <class Element, int kWidth>
void launch(const Reduce& op, cudaStream_t stream) {
  constexpr int kThreads = 256;
  constexpr std::int64_t kMostBlocks = 1024;
  const std::int64_t packs = op.count / kWidth;
  const std::int64_t blocks = (packs + kThreads - 1) / kThreads;
  const auto grid = static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks);
  reduce_packs<Element, kWidth><<<grid, kThreads, 0, stream>>>(op);
  check(cudaGetLastError(), "launch of reduce");
}

template <class Element>
void reduce_elements(const Reduce& op, cudaStream_t stream) {
  constexpr int kWidth = 16 / static_cast<int>(sizeof(Element));
  if (wide<Element, kWidth>(op)) {
    launch<Element, kWidth>(op, stream);
  } else {
    launch<Element, 1>(op, stream);
  }
}

}  // namespace

void reduce(const Reduce& op, cudaStream_t stream) {
  if (op.count == 0) return;
  if (op.type == kernels::ElementType::F32) {
    reduce_elements<float>(op, stream);
  } else {
    reduce_elements<__nv_bfloat16>(op, stream);
  }
}

}  // namespace meshplan::runtime::cuda
