// What the device's build of the kernels says where there is no GPU.
#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/cuda/kernels.h"

namespace meshplan::kernels::cuda {
namespace {

TEST(WithoutDevice, AQueueNamesTheCallThatFailed) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0) GTEST_SKIP() << "there is a GPU";
  try {
    Queue queue(0, nullptr);
    FAIL() << "made a queue without a device";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::MatchesRegex("kernels/cuda/queue.cpp:[0-9]+: cuda.*: .*"));
  }
}

TEST(WithoutDevice, LibrariesAreNamed) {
  EXPECT_THAT(library_versions(), ::testing::MatchesRegex("cuBLASLt [0-9.]+, (no )?cuDNN.*"));
}

}  // namespace
}  // namespace meshplan::kernels::cuda
