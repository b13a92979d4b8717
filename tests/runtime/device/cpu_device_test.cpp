#include "runtime/device/cpu_device.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

#include "runtime/communicator/in_process.h"
#include "runtime/device/tensor.h"

namespace meshplan::runtime {
namespace {

/// Runs `body` with the device of the only rank.
void with_device(const std::function<void(CpuDevice&)>& body) {
  run_in_process(1, {}, [&](Communicator& world) {
    CpuDevice device(world);
    body(device);
  });
}

TEST(CpuDevice, CountsTensorsWhileAnyHandleLives) {
  with_device([](CpuDevice& device) {
    {
      const Tensor a(device, 3, 5, MemoryTerm::Activations);
      const Tensor same = a;  // NOLINT: a second handle is the point
      EXPECT_EQ(device.memory().now()[MemoryTerm::Activations], profiles::Bytes{60});
      EXPECT_EQ(same.data(), a.data());
    }
    EXPECT_EQ(device.memory().now().total(), profiles::Bytes{0});
    EXPECT_EQ(device.memory().peak().total(), profiles::Bytes{60});
  });
}

TEST(CpuDevice, AlignsAndReusesBlocks) {
  with_device([](CpuDevice& device) {
    void* first = device.allocate(profiles::Bytes{1000}, MemoryTerm::Workspace);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(first) % 64, 0U);
    device.release(first, profiles::Bytes{1000}, MemoryTerm::Workspace);
    void* second = device.allocate(profiles::Bytes{1000}, MemoryTerm::Weights);
    EXPECT_EQ(second, first);
    EXPECT_EQ(device.memory().now()[MemoryTerm::Weights], profiles::Bytes{1000});
    EXPECT_EQ(device.memory().now()[MemoryTerm::Workspace], profiles::Bytes{0});
    device.release(second, profiles::Bytes{1000}, MemoryTerm::Weights);
  });
}

TEST(CpuDevice, RunsOperationsAndTellsTheirTime) {
  with_device([](CpuDevice& device) {
    const Tensor x(device, 2, 3, MemoryTerm::Workspace);
    const Moment before = device.record();
    device.launch(kernels::Fill{x.view(), 2.5F});
    const Moment after = device.record();
    device.wait();
    EXPECT_GE(device.at(after), device.at(before));
    std::array<float, 6> host{};
    device.download(x.data(), std::as_writable_bytes(std::span(host)));
    for (const float value : host) EXPECT_EQ(value, 2.5F);
  });
}

}  // namespace
}  // namespace meshplan::runtime
