#pragma once
#include <algorithm>
#include <cstdint>

#include "kernels/cuda/group.h"
#include "kernels/cuda/queue_state.h"

#if defined(__CUDACC__)
#include "kernels/cuda/check.h"
#else
#include <functional>
#endif

namespace meshplan::kernels::cuda {

/// Blocks of a grid: enough for all the work, no more than the device holds at a time. Kernels
/// stride over what is left, so the number changes the time and never the result.
constexpr std::int64_t grid_blocks(std::int64_t groups, int lanes, int resident_blocks,
                                   int multiprocessors) {
  const std::int64_t groups_of_block = threads_of_block(lanes) / lanes;
  const std::int64_t needed = (groups + groups_of_block - 1) / groups_of_block;
  return std::min(needed, std::int64_t{resident_blocks} * multiprocessors);
}

#if defined(__CUDACC__)

template <int kLanes, class Kernel>
__global__ void __launch_bounds__(threads_of_block(kLanes))
    enter(const __grid_constant__ Kernel kernel) {
  Group<kLanes> group;
  kernel(group);
}

/// Issues a kernel that has work for `groups` groups of kLanes threads to `stream`, one of the
/// queue's device; nothing for none.
template <int kLanes, class Kernel>
void issue(Queue& queue, CUstream_st* stream, std::int64_t groups, const Kernel& kernel) {
  if (groups <= 0) return;
  constexpr int kThreads = threads_of_block(kLanes);
  const auto function = reinterpret_cast<const void*>(&enter<kLanes, Kernel>);
  Queue::State& state = queue.state();
  int& resident = state.resident_blocks[function];
  if (resident == 0) {
    check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, function, kThreads, 0),
          "cudaOccupancyMaxActiveBlocksPerMultiprocessor");
    resident = std::max(resident, 1);
  }
  const auto blocks =
      static_cast<unsigned>(grid_blocks(groups, kLanes, resident, state.multiprocessors));
  // Not <<<>>> and cudaGetLastError, which would also tell of what failed before this.
  void* arguments[] = {const_cast<Kernel*>(&kernel)};
  check(cudaLaunchKernel(function, dim3(blocks), dim3(kThreads), arguments, 0, stream),
        "cudaLaunchKernel");
}

#else

/// Does the work of a kernel in the order of a stream: at once (tests/kernels/cuda), or when the
/// stream comes to it (tests/runtime/cuda/played).
void play(CUstream_st* stream, std::function<void()> kernel);

/// The host plays a small grid, so that kernels stride.
template <int kLanes, class Kernel>
void issue(Queue& queue, CUstream_st* stream, std::int64_t groups, const Kernel& kernel) {
  if (groups <= 0) return;
  const auto count =
      static_cast<std::uint32_t>(grid_blocks(groups, kLanes, 1, queue.state().multiprocessors) *
                                 (threads_of_block(kLanes) / kLanes));
  play(stream, [kernel, count] {
    for (std::uint32_t index = 0; index < count; ++index) {
      Group<kLanes> group(index, count);
      kernel(group);
    }
  });
}

#endif

/// To the queue's own stream.
template <int kLanes, class Kernel>
void issue(Queue& queue, std::int64_t groups, const Kernel& kernel) {
  issue<kLanes>(queue, queue.state().stream, groups, kernel);
}

}  // namespace meshplan::kernels::cuda
