#include "kernels/cuda/queue.h"

#include <cublasLt.h>
#include <cuda_runtime_api.h>

#include "kernels/cuda/check.h"
#include "kernels/cuda/fused_attention.h"
#include "kernels/cuda/gemm_library.h"
#include "kernels/cuda/queue_state.h"

namespace meshplan::kernels::cuda {

Scratch::~Scratch() {
  if (memory_ != nullptr) cudaFree(memory_);
}

void* Scratch::reserve(std::int64_t bytes, CUstream_st* stream) {
  if (bytes > bytes_) {
    check(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    if (memory_ != nullptr) check(cudaFree(memory_), "cudaFree");
    memory_ = nullptr;
    bytes_ = 0;
    check(cudaMalloc(&memory_, static_cast<std::size_t>(bytes)), "cudaMalloc");
    bytes_ = bytes;
  }
  return memory_;
}

Queue::Queue(int device, CUstream_st* stream, const QueueOptions& options)
    : state_(std::make_unique<State>()) {
  int current = -1;
  check(cudaGetDevice(&current), "cudaGetDevice");
  if (current != device)
    fail("Queue",
         "device " + std::to_string(device) + " is not current, but " + std::to_string(current));
  int multiprocessors = 0;
  check(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device),
        "cudaDeviceGetAttribute");
  state_->device = device;
  state_->stream = stream;
  state_->multiprocessors = options.multiprocessors.value_or(multiprocessors);
  state_->options = options;
  state_->gemm = std::make_shared<GemmLibrary>(options);
  state_->fused_attention = std::make_shared<FusedAttention>(stream);
}
Queue::~Queue() = default;
Queue::Queue(Queue&&) noexcept = default;
Queue& Queue::operator=(Queue&&) noexcept = default;

int Queue::device() const { return state_->device; }
CUstream_st* Queue::stream() const { return state_->stream; }
std::int64_t Queue::held_bytes() const {
  return state_->scratch.bytes() + state_->gemm->held_bytes() +
         state_->fused_attention->held_bytes();
}

std::string library_versions() {
  const auto version = static_cast<int>(cublasLtGetVersion());
  return "cuBLASLt " + std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) +
         "." + std::to_string(version % 100) + ", " + fused_attention_version();
}

}  // namespace meshplan::kernels::cuda
