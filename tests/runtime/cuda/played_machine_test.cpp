// The played machine keeps to CUDA's rules and reports who does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "played/played.h"

namespace meshplan::played {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

cudaStream_t stream() {
  cudaStream_t made = nullptr;
  EXPECT_EQ(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), cudaSuccess);
  return made;
}
cudaEvent_t event() {
  cudaEvent_t made = nullptr;
  EXPECT_EQ(cudaEventCreate(&made), cudaSuccess);
  return made;
}
float* floats(std::size_t count) {
  void* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, 4 * count), cudaSuccess);
  return static_cast<float*>(memory);
}

/// Holds a stream up until it is opened.
class Gate {
 public:
  void close(cudaStream_t held) {
    enqueue(held, [this] {
      while (!open_) std::this_thread::yield();
    });
  }
  void open() { open_ = true; }

 private:
  std::atomic<bool> open_ = false;
};

TEST(PlayedMachine, StreamsRunBesideEachOtherAndWaitWhereTheyAreTold) {
  const cudaStream_t a = stream(), b = stream();
  const cudaEvent_t done = event();
  // Not recorded yet: a wait for it is none.
  EXPECT_EQ(cudaStreamWaitEvent(b, done, 0), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(done), cudaSuccess);
  Gate gate;
  gate.close(a);
  int value = 0;
  enqueue(a, [&] { value = 1; });
  EXPECT_EQ(cudaEventRecord(done, a), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(b), cudaSuccess);
  EXPECT_EQ(cudaStreamQuery(a), cudaErrorNotReady);
  EXPECT_EQ(cudaEventQuery(done), cudaErrorNotReady);
  EXPECT_EQ(cudaStreamWaitEvent(b, done, 0), cudaSuccess);
  int seen = 0;
  enqueue(b, [&] { seen = value; });
  gate.open();
  EXPECT_EQ(cudaStreamSynchronize(b), cudaSuccess);
  EXPECT_EQ(seen, 1);
  EXPECT_EQ(cudaEventDestroy(done), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(a), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(b), cudaSuccess);
}

TEST(PlayedMachine, ErrorsStandUntilTheyAreAskedFor) {
  EXPECT_EQ(cudaSetDevice(99), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  break_device(0, cudaErrorIllegalAddress);
  cudaEvent_t none = nullptr;
  EXPECT_EQ(cudaEventCreate(&none), cudaErrorIllegalAddress);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
  break_device(0, cudaSuccess);
  cudaGetLastError();
}

TEST(PlayedMachine, ReportsCopiesBeyondMemoryOfAnotherDeviceAndUnpinned) {
  const Listening listening;
  float* const memory = floats(4);
  float near[8] = {};
  const cudaStream_t on = stream();
  EXPECT_EQ(cudaMemcpyAsync(memory, near, 16, cudaMemcpyHostToDevice, on), cudaSuccess);
  require_memory("a kernel", memory + 1, 16, on);
  EXPECT_EQ(cudaSetDevice(1), cudaSuccess);
  const cudaStream_t elsewhere = stream();
  require_memory("a kernel", memory, 16, elsewhere);
  EXPECT_THAT(listening.reports(),
              ElementsAre(HasSubstr("not page-locked"), HasSubstr("beyond its end"),
                          HasSubstr("another device")));
  cudaStreamDestroy(elsewhere);
  cudaSetDevice(0);
  cudaStreamSynchronize(on);
  cudaStreamDestroy(on);
  cudaFree(memory);
}

TEST(PlayedMachineDeathTest, FreedMemoryAndWhatLiesBehindMemoryCannotBeTouched) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        volatile float* const memory = floats(128);
        cudaFree(const_cast<float*>(memory));
        memory[0] = 1;
      },
      "");
  EXPECT_DEATH(
      {
        volatile float x = floats(128)[128];
        (void)x;
      },
      "");
}

TEST(PlayedMachine, MemoryIsNotANumberUntilItIsWritten) {
  float* const memory = floats(1000);
  for (int i = 0; i < 1000; ++i) ASSERT_NE(memory[i], memory[i]);
  cudaFree(memory);
}

TEST(PlayedMachine, ReportsHandlesThatAreGoneOrOfAnotherDevice) {
  const Listening listening;
  const cudaStream_t on = stream();
  const cudaEvent_t marked = event();
  cudaSetDevice(1);
  const cudaEvent_t other = event();
  EXPECT_EQ(cudaEventRecord(other, on), cudaErrorInvalidResourceHandle);
  cudaSetDevice(0);
  cudaEventDestroy(marked);
  cudaEventDestroy(other);
  cudaStreamDestroy(on);
  EXPECT_EQ(cudaEventRecord(marked, nullptr), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(cudaStreamQuery(on), cudaErrorInvalidResourceHandle);
  int no_memory = 0;
  EXPECT_EQ(cudaFree(&no_memory), cudaErrorInvalidValue);
  EXPECT_THAT(listening.reports(), ElementsAre(HasSubstr("an event of another device"),
                                               HasSubstr("an event that does not exist"),
                                               HasSubstr("a stream that does not exist"),
                                               HasSubstr("not allocated, or freed before")));
}

TEST(PlayedMachineDeathTest, WhatIsLeftAtTheEndFailsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        stream();
        std::exit(0);
      },
      testing::ExitedWithCode(1), "left at the end: 1 streams");
}

/// Two ranks on devices of their own, started, each on a thread.
void on_two_ranks(const std::function<void(int rank, ncclComm_t comm, cudaStream_t on)>& body,
                  bool blocking = true) {
  ncclUniqueId id{};
  ASSERT_EQ(ncclGetUniqueId(&id), ncclSuccess);
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < 2; ++rank) {
    ranks.emplace_back([&, rank] {
      cudaSetDevice(rank);
      ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
      config.blocking = blocking ? 1 : 0;
      ncclComm_t comm = nullptr;
      ncclResult_t state = ncclCommInitRankConfig(&comm, 2, id, rank, &config);
      while (state == ncclInProgress) ncclCommGetAsyncError(comm, &state);
      const cudaStream_t on = stream();
      body(rank, comm, on);
      ncclCommAbort(comm);
      cudaStreamSynchronize(on);
      cudaStreamDestroy(on);
    });
  }
  for (std::thread& rank : ranks) rank.join();
}

ncclResult_t state_of(ncclComm_t comm) {
  ncclResult_t state = ncclSuccess;
  ncclCommGetAsyncError(comm, &state);
  return state;
}

TEST(PlayedNccl, ReportsRanksThatCallDifferentThings) {
  const Listening listening;
  on_two_ranks([](int rank, ncclComm_t comm, cudaStream_t on) {
    float* const memory = floats(8);
    const auto count = static_cast<std::size_t>(rank == 0 ? 4 : 8);
    ncclAllReduce(memory, memory, count, ncclFloat32, ncclSum, comm, on);
    cudaStreamSynchronize(on);
    EXPECT_EQ(state_of(comm), ncclInvalidUsage);
    cudaFree(memory);
  });
  EXPECT_THAT(listening.reports(), ElementsAre(HasSubstr("ranks of one communicator call")));
}

TEST(PlayedNccl, ReportsMessagesOfDifferentSizesAndTwoRanksOnADevice) {
  const Listening listening;
  on_two_ranks([](int rank, ncclComm_t comm, cudaStream_t on) {
    float* const memory = floats(8);
    if (rank == 0) ncclSend(memory, 4, ncclFloat32, 1, comm, on);
    if (rank == 1) ncclRecv(memory, 8, ncclFloat32, 0, comm, on);
    cudaStreamSynchronize(on);
    cudaFree(memory);
  });
  ncclUniqueId id{};
  ncclGetUniqueId(&id);
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  ncclComm_t first = nullptr, second = nullptr;
  EXPECT_EQ(ncclCommInitRankConfig(&first, 2, id, 0, &config), ncclInProgress);
  EXPECT_EQ(ncclCommInitRankConfig(&second, 2, id, 1, &config), ncclInvalidUsage);
  ncclCommAbort(first);
  ncclCommAbort(second);
  EXPECT_THAT(listening.reports(),
              ElementsAre(HasSubstr("a message of "), HasSubstr("two ranks on one device")));
}

/// A send waits for its receive, so a ring of sends without a group never ends; in groups it does.
TEST(PlayedNccl, OnlyAGroupExchangesBothWays) {
  for (const bool grouped : {false, true}) {
    std::atomic<int> ended = 0;
    float* memory[2] = {};
    for (const int rank : {1, 0}) {
      cudaSetDevice(rank);
      memory[rank] = floats(8);
    }
    on_two_ranks([&](int rank, ncclComm_t comm, cudaStream_t on) {
      float *const out = memory[rank], *const in = out + 4;
      if (grouped) ncclGroupStart();
      ncclSend(out, 4, ncclFloat32, 1 - rank, comm, on);
      ncclRecv(in, 4, ncclFloat32, 1 - rank, comm, on);
      if (grouped) ncclGroupEnd();
      for (int i = 0; i < (grouped ? 5000 : 100) && cudaStreamQuery(on) != cudaSuccess; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      if (cudaStreamQuery(on) == cudaSuccess) ++ended;
      while (grouped && ended < 2) std::this_thread::yield();
    });
    EXPECT_EQ(ended, grouped ? 2 : 0);
    for (float* each : memory) cudaFree(each);
  }
}

TEST(PlayedNccl, ACallOfANonBlockingCommunicatorIsIssuedWhenItIsPolled) {
  on_two_ranks(
      [](int, ncclComm_t comm, cudaStream_t on) {
        float* const memory = floats(4);
        cudaMemsetAsync(memory, 0, 16, on);
        EXPECT_EQ(ncclAllReduce(memory, memory, 4, ncclFloat32, ncclSum, comm, on), ncclInProgress);
        EXPECT_EQ(state_of(comm), ncclInProgress);
        EXPECT_EQ(state_of(comm), ncclSuccess);
        cudaStreamSynchronize(on);
        EXPECT_EQ(memory[0], 0.0F);
        cudaFree(memory);
      },
      false);
}

}  // namespace
}  // namespace meshplan::played
