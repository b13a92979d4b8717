// The kernels on a GPU against plain loops. Skipped where there is none.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstring>

#include "kernels/cuda/kernels.h"
#include "kernels/reference/kernels.h"
#include "tests/kernels/cuda/relocated.h"
#include "tests/kernels/operation_cases.h"

namespace meshplan::kernels::testing {
namespace {

constexpr RowLayout kLayouts[] = {RowLayout::Padded, RowLayout::Aligned, RowLayout::Contiguous};

FarMemory device_memory() {
  return {.allocate =
              [](std::size_t bytes) {
                void* memory = nullptr;
                EXPECT_EQ(cudaMalloc(&memory, std::max<std::size_t>(bytes, 1)), cudaSuccess);
                return static_cast<std::byte*>(memory);
              },
          .release = [](std::byte* memory) { EXPECT_EQ(cudaFree(memory), cudaSuccess); },
          .upload =
              [](std::byte* far, std::span<const std::byte> near) {
                EXPECT_EQ(cudaMemcpy(far, near.data(), near.size(), cudaMemcpyHostToDevice),
                          cudaSuccess);
              },
          .download =
              [](std::span<std::byte> near, const std::byte* far) {
                EXPECT_EQ(cudaMemcpy(near.data(), far, near.size(), cudaMemcpyDeviceToHost),
                          cudaSuccess);
              }};
}

/// Why there is nothing to run on; "" if there is.
std::string why_no_device() {
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess) return cudaGetErrorString(status);
  return devices == 0 ? "no GPU" : "";
}

void run_on_device(cuda::Queue& queue, Arena& arena, const Operation& op) {
  const Relocated memory(arena, device_memory());
  cuda::launch(queue, memory.moved(op));
  ASSERT_EQ(cudaDeviceSynchronize(), cudaSuccess) << name(op);
  memory.fetch();
}

Expect expect_on_device(const cuda::QueueOptions& options = {}) {
  return [options](const std::string& what, const Build& build) {
    cuda::Queue queue(0, nullptr, options);
    for (const RowLayout layout : kLayouts) {
      Arena expected(17, layout), found(17, layout);
      const Operation oracle_op = build(expected);
      reference::Queue oracle;
      reference::run(oracle_op, oracle);
      const Operation op = build(found);
      run_on_device(queue, found, op);
      ASSERT_EQ(found.difference(expected), "")
          << what << ", " << name(op) << ", layout " << static_cast<int>(layout);
    }
  };
}

class OnDevice : public ::testing::TestWithParam<CaseTable> {};

TEST_P(OnDevice, AgreesWithTheReference) {
  if (const std::string reason = why_no_device(); !reason.empty()) GTEST_SKIP() << reason;
  GetParam().visit(expect_on_device());
}

INSTANTIATE_TEST_SUITE_P(Operations, OnDevice, ::testing::ValuesIn(operation_cases()),
                         [](const auto& table) { return std::string(table.param.operation); });

/// Probabilities are rounded to bf16 before they meet the values: 2^-9 of each.
constexpr double kBf16Rounding = 0x1p-9;

class AttentionOnDevice : public ::testing::TestWithParam<AttentionCaseTable> {};

TEST_P(AttentionOnDevice, AgreesWithTheReference) {
  if (const std::string reason = why_no_device(); !reason.empty()) GTEST_SKIP() << reason;
  GetParam().visit(expect_on_device(), kBf16Rounding);
  GetParam().visit(expect_on_device({.attention = cuda::AttentionKernel::Unfused}), kBf16Rounding);
}

INSTANTIATE_TEST_SUITE_P(Operations, AttentionOnDevice, ::testing::ValuesIn(attention_cases()),
                         [](const auto& table) { return std::string(table.param.operation); });

/// A training shape, large enough for tiles and several blocks of everything.
TEST(FusedAttention, AgreesWithTheUnfused) {
  if (const std::string reason = why_no_device(); !reason.empty()) GTEST_SKIP() << reason;
  const AttentionShape shape{.batch = 2,
                             .heads = 8,
                             .kv_heads = 2,
                             .head_dim = 128,
                             .query_len = 640,
                             .kv_len = 640,
                             .scale = 0.088F};
  cuda::Queue fused(0, nullptr), unfused(0, nullptr, {.attention = cuda::AttentionKernel::Unfused});
  const cuda::AttentionChoice choice = cuda::attention_choice(fused, shape, ElementType::Bf16);
  if (choice.forward != cuda::AttentionKernel::Fused) GTEST_SKIP() << choice.why_not_fused_forward;
  // Both round p to bf16, at different moments: 2^-9 |v|, gradients the like; and their outputs.
  const auto forward_of = [&](Arena& arena) {
    AttentionForward op;
    op.shape = shape;
    op.q = arena.random(1280, 1024, ElementType::Bf16);
    op.k = arena.random(1280, 256, ElementType::Bf16);
    op.v = arena.random(1280, 256, ElementType::Bf16);
    op.out = arena.output(1280, 1024, ElementType::Bf16, {0x1p-6, 0});
    op.log_sum_exp = arena.output_vector(2 * 8 * 640, {1e-3, 0});
    return op;
  };
  Arena expected(3, RowLayout::Contiguous), found(3, RowLayout::Contiguous);
  const AttentionForward oracle_op = forward_of(expected), op = forward_of(found);
  run_on_device(unfused, expected, oracle_op);
  run_on_device(fused, found, op);
  ASSERT_EQ(found.difference(expected), "");
  if (choice.backward != cuda::AttentionKernel::Fused)
    GTEST_SKIP() << "forward agrees; " << choice.why_not_fused_backward;

  const auto backward_of = [&](Arena& arena, const AttentionForward& forward) {
    AttentionBackward backward;
    backward.shape = shape;
    backward.q = forward.q;
    backward.k = forward.k;
    backward.v = forward.v;
    backward.out = forward.out;
    backward.log_sum_exp = forward.log_sum_exp;
    backward.dout = arena.random(1280, 1024, ElementType::Bf16);
    backward.dq = arena.output(1280, 1024, ElementType::Bf16, {0x1p-4, 0});
    backward.dk = arena.output(1280, 256, ElementType::Bf16, {0x1p-4, 0});
    backward.dv = arena.output(1280, 256, ElementType::Bf16, {0x1p-3, 0});
    return backward;
  };
  const AttentionBackward oracle_backward = backward_of(expected, oracle_op);
  const AttentionBackward backward = backward_of(found, op);
  run_on_device(unfused, expected, oracle_backward);
  run_on_device(fused, found, backward);
  EXPECT_EQ(found.difference(expected), "");
}

TEST(CudaQueue, SaysWhichDeviceIsNotCurrent) {
  if (const std::string reason = why_no_device(); !reason.empty()) GTEST_SKIP() << reason;
  EXPECT_THROW(cuda::Queue(1000, nullptr), cuda::Error);
}

TEST(CudaQueue, HoldsNothingUntilItIsUsed) {
  if (const std::string reason = why_no_device(); !reason.empty()) GTEST_SKIP() << reason;
  EXPECT_EQ(cuda::Queue(0, nullptr).held_bytes(), 0);
}

}  // namespace
}  // namespace meshplan::kernels::testing
