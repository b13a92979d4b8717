#include "tests/kernels/cuda/host_device.h"

#include <new>

#include "kernels/cuda/fused_attention.h"
#include "kernels/cuda/gemm_problem.h"
#include "kernels/cuda/launch.h"
#include "tests/kernels/cuda/column_major.h"

namespace meshplan::kernels::cuda {
namespace {

constexpr std::align_val_t kAlignment{256};

}  // namespace

Scratch::~Scratch() { ::operator delete(memory_, kAlignment); }

void* Scratch::reserve(std::int64_t bytes, CUstream_st*) {
  // As much as was asked for, so that sanitizers see every step beyond it.
  if (bytes != bytes_) {
    ::operator delete(memory_, kAlignment);
    memory_ = ::operator new(static_cast<std::size_t>(bytes), kAlignment);
    bytes_ = bytes;
  }
  return memory_;
}

Queue::Queue(int device, CUstream_st* stream, const QueueOptions& options)
    : state_(std::make_unique<State>()) {
  state_->device = device;
  state_->stream = stream;
  state_->multiprocessors = options.multiprocessors.value_or(1);
  state_->options = options;
  state_->fused_attention = std::make_shared<FusedAttention>(stream);
}
Queue::~Queue() = default;
Queue::Queue(Queue&&) noexcept = default;
Queue& Queue::operator=(Queue&&) noexcept = default;

/// As a library that has no epilogue for bf16, so that both ways to add a bias are played.
bool multiplies(const BatchedGemm& gemm, Queue&) {
  return gemm.bias.empty() || gemm.c.type == ElementType::F32;
}

void multiply(const BatchedGemm& gemm, Queue&) {
  testing::multiply_columns(problem_of(gemm), gemm.b.data, gemm.a.data, gemm.c.data, gemm.bias.data,
                            gemm.alpha, gemm.beta);
}

void play(CUstream_st*, std::function<void()> kernel) { kernel(); }

struct FusedAttention::State {};
FusedAttention::FusedAttention(CUstream_st*) {}
FusedAttention::~FusedAttention() = default;
std::string FusedAttention::why_not(const AttentionForward&) { return "no cuDNN on the host"; }
std::string FusedAttention::why_not(const AttentionBackward&) { return "no cuDNN on the host"; }
void FusedAttention::run(const AttentionForward&) {}
void FusedAttention::run(const AttentionBackward&) {}

}  // namespace meshplan::kernels::cuda

namespace meshplan::kernels::testing {

cuda::Queue host_queue(int multiprocessors, cuda::QueueOptions options) {
  options.multiprocessors = multiprocessors;
  return {0, nullptr, options};
}

}  // namespace meshplan::kernels::testing
