#pragma once
#include <cstdint>

namespace meshplan::runtime {

/// What a rank does at the same time, named by purpose. Work of one queue runs in the order of
/// issue; queues run beside each other unless one waits for a moment of another
/// (runtime/device/device.h). A stream each on a GPU; one and the same on a thread of the host.
enum class Queue : std::uint8_t {
  Compute,
  TensorParallel,
  PipelineForward,   ///< activations to the next stage
  PipelineBackward,  ///< gradients to the stage before
  DataParallel,
};
constexpr int kQueues = 5;

}  // namespace meshplan::runtime
