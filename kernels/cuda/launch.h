#pragma once
#include <algorithm>
#include <cstdint>

#include "kernels/cuda/group.h"
#include "kernels/cuda/queue_state.h"

#if defined(__CUDACC__)
#include <atomic>

#include "kernels/cuda/check.h"
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

/// Issues a kernel that has work for `groups` groups of kLanes threads; nothing for none.
template <int kLanes, class Kernel>
void issue(Queue& queue, std::int64_t groups, const Kernel& kernel) {
  if (groups <= 0) return;
  static std::atomic<int> resident{0};  // devices of one process are taken to be alike
  if (resident == 0) {
    int blocks = 0;
    check(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, enter<kLanes, Kernel>,
                                                        threads_of_block(kLanes), 0),
          "cudaOccupancyMaxActiveBlocksPerMultiprocessor");
    resident = std::max(blocks, 1);
  }
  const Queue::State& state = queue.state();
  const auto blocks =
      static_cast<unsigned>(grid_blocks(groups, kLanes, resident, state.multiprocessors));
  enter<kLanes><<<blocks, threads_of_block(kLanes), 0, state.stream>>>(kernel);
  check(cudaGetLastError(), "kernel launch");
}

#else

/// The host plays a small grid, so that kernels stride.
template <int kLanes, class Kernel>
void issue(Queue& queue, std::int64_t groups, const Kernel& kernel) {
  if (groups <= 0) return;
  const auto count =
      static_cast<std::uint32_t>(grid_blocks(groups, kLanes, 1, queue.state().multiprocessors) *
                                 (threads_of_block(kLanes) / kLanes));
  for (std::uint32_t index = 0; index < count; ++index) {
    Group<kLanes> group(index, count);
    kernel(group);
  }
}

#endif

}  // namespace meshplan::kernels::cuda
