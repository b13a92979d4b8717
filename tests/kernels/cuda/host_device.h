#pragma once
#include "kernels/cuda/queue_state.h"

namespace meshplan::kernels::testing {

/// A queue without a device: memory of the host, kernels played by this thread, no cuDNN.
/// `multiprocessors` sets the size of grids: results may not depend on it.
cuda::Queue host_queue(int multiprocessors, cuda::QueueOptions options = {});

}  // namespace meshplan::kernels::testing
