// Our kernels, compiled for the host, go to played streams.
#include "kernels/cuda/launch.h"
#include "played.h"

namespace meshplan::kernels::cuda {

void play(CUstream_st* stream, std::function<void()> kernel) {
  if (played::device_of(stream) != played::current_device()) {
    played::report("a kernel for a stream of another device than the thread's");
  }
  if (played::machine().idle) kernel = [] {};
  played::enqueue(stream, std::move(kernel));
}

}  // namespace meshplan::kernels::cuda
