// Whether cuDNN takes our graphs of attention: on a device that is described to it and a driver
// that is played (played_driver.cpp), so without a GPU. It chooses an engine, compiles its kernel,
// and would load it; what the kernel computes is seen on a GPU only (on_device_test).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "kernels/cuda/cudnn.h"
#include "kernels/cuda/queue.h"

namespace meshplan::kernels::cuda {
namespace {

struct Described {
  const char* name;
  int compute_capability, multiprocessors, shared_bytes;
};
constexpr Described kH200{"NVIDIA H200", 900, 132, 232448};
constexpr Described kA100{"NVIDIA A100-SXM4-80GB", 800, 108, 166912};
constexpr Described kB200{"NVIDIA B200", 1000, 148, 232448};

CudnnDescriptor device(const Described& d) {
  const std::string json =
      R"({"deviceVer":)" + std::to_string(d.compute_capability) +
      R"(,"driverVer":13000,"maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],)"
      R"("regsPerBlock":65536,"multiProcessorCount":)" +
      std::to_string(d.multiprocessors) +
      R"(,"warpSize":32,"maxSharedMemoryPerBlock":49152,"maxSharedMemoryPerBlockOptin":)" +
      std::to_string(d.shared_bytes) +
      R"(,"reservedSharedMemoryPerBlock":1024,"maxRegistersPerSM":65536,"maxCtasPerSM":32,)"
      R"("maxThreadsPerBlock":1024,"maxThreadsPerSM":2048,"pciDeviceId":0,"isTccDriver":0,)"
      R"("supportCoopLaunch":1,"smClockRateKHz":1980000,"memClockRateKHz":3201000,)"
      R"("l2CacheSize":52428800,"deviceName":")" +
      d.name + R"(","totalGlobalMem":80000000000,"cudaDeviceId":0})";
  CudnnDescriptor out(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
  out.set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
          std::span<const char>(json.c_str(), json.size() + 1));
  out.finalize();
  return out;
}

/// Two sequences of 1024, eight heads of 128 that share two key heads, as a fused q, k, v lies.
AttentionLayout grouped(bool causal) {
  AttentionLayout layout;
  layout.shape = {.batch = 2,
                  .heads = 8,
                  .kv_heads = 2,
                  .head_dim = 128,
                  .query_len = 1024,
                  .kv_len = 1024,
                  .scale = 0.088F};
  layout.shape.causal = causal;
  layout.q = layout.k = layout.v = layout.dq = layout.dk = layout.dv = (8 + 2 + 2) * 128;
  layout.out = layout.dout = 8 * 128;
  layout.key_rows = layout.value_rows = layout.dkey_rows = layout.dvalue_rows = 1024;
  return layout;
}

/// "" if cuDNN has a plan for it, else why not.
std::string why_not(const AttentionGraph& graph, const Described& described) {
  try {
    const CudnnDescriptor target = device(described);
    return plan_for(graph, {.device = &target}).workspace_bytes >= 0 ? "" : "no workspace";
  } catch (const Error& error) {
    return error.what();
  }
}

class CudnnPlans : public testing::Test {
 protected:
  void SetUp() override {
    if (!cudnn().why_not.empty()) GTEST_SKIP() << cudnn().why_not;
  }
};

TEST_F(CudnnPlans, TrainingAttentionHasAnEngineOnHopper) {
  EXPECT_EQ(why_not(forward_graph(grouped(true)), kH200), "");
  EXPECT_EQ(why_not(backward_graph(grouped(true)), kH200), "");
}

TEST_F(CudnnPlans, TrainingAttentionHasAnEngineOnAmpereAndBlackwell) {
  EXPECT_EQ(why_not(backward_graph(grouped(true)), kA100), "");
  EXPECT_EQ(why_not(backward_graph(grouped(true)), kB200), "");
}

TEST_F(CudnnPlans, TheSingleOperationHasAnEngineAndNoCausalMaskBefore9_21) {
  EXPECT_EQ(why_not(single_forward_graph(grouped(false)), kH200), "");
  if (cudnn().version() >= 92100) GTEST_SKIP() << "cuDNN " << cudnn_version();
  EXPECT_THAT(why_not(single_forward_graph(grouped(true)), kH200),
              testing::HasSubstr("has no causal mask"));
}

TEST_F(CudnnPlans, WhatNoEngineTakesIsAnErrorWithCudnnsWords) {
  AttentionGraph broken = forward_graph(grouped(true));
  for (GraphTensor& tensor : broken.tensors) {
    if (tensor.id == kValue) tensor.dims[3] = 64;  // fewer columns than the output
  }
  EXPECT_NE(why_not(broken, kH200), "");
}

}  // namespace
}  // namespace meshplan::kernels::cuda
