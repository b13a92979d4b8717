#include "tests/kernels/cuda/host_device.h"

#include <new>

#include "kernels/bf16.h"
#include "kernels/cuda/fused_attention.h"
#include "kernels/cuda/gemm_problem.h"

namespace meshplan::kernels::cuda {
namespace {

constexpr std::align_val_t kAlignment{256};

double element(const void* data, ElementType type, std::int64_t index) {
  if (type == ElementType::Bf16) return to_float(static_cast<const Bf16*>(data)[index]);
  return static_cast<const float*>(data)[index];
}

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

/// Column-major loops over what cuBLASLt would be told, not over the operation: result =
/// alpha op(first) op(second) + beta result, with the bias along the rows of the result.
void multiply(const BatchedGemm& gemm, Queue&) {
  const GemmProblem p = problem_of(gemm);
  for (std::int64_t i = 0; i < p.batch; ++i) {
    for (std::int64_t column = 0; column < p.result.cols; ++column) {
      for (std::int64_t row = 0; row < p.result.rows; ++row) {
        double sum = 0;
        for (std::int64_t k = 0; k < p.k; ++k) {
          const std::int64_t first = p.transpose_first ? k + row * p.first.leading_dimension
                                                       : row + k * p.first.leading_dimension;
          const std::int64_t second = p.transpose_second ? column + k * p.second.leading_dimension
                                                         : k + column * p.second.leading_dimension;
          sum += element(gemm.b.data, p.first.type, i * p.first.batch_stride + first) *
                 element(gemm.a.data, p.second.type, i * p.second.batch_stride + second);
        }
        const std::int64_t at =
            i * p.result.batch_stride + row + column * p.result.leading_dimension;
        sum *= gemm.alpha;
        if (gemm.beta != 0) sum += gemm.beta * element(gemm.c.data, p.result.type, at);
        if (p.bias) sum += element(gemm.bias.data, p.result.type, row);
        if (p.result.type == ElementType::Bf16)
          static_cast<Bf16*>(gemm.c.data)[at] = to_bf16(static_cast<float>(sum));
        else
          static_cast<float*>(gemm.c.data)[at] = static_cast<float>(sum);
      }
    }
  }
}

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
