// The GPU engine on a GPU; skipped where there is none. What needs no device: cuda_host_test, and
// asynchronous_test, which plays streams with threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "runtime/device/tensor.h"
#include "runtime/execute/run_on_engine.h"
#include "runtime/execute/run_on_threads.h"
#include "tiny_training.h"

namespace meshplan::runtime {
namespace {

using profiles::Seconds;

class GpuEngine : public testing::Test {
 protected:
  void SetUp() override {
    try {
      engine_ = &load_engine();
    } catch (const EngineMissing& missing) {
      GTEST_SKIP() << missing.what();
    }
  }
  /// Runs `body` on `ranks` ranks of the engine.
  void run(int ranks, Seating seating, const std::function<void(Device&)>& body) {
    run_in_process(
        ranks, {.timeout = Seconds{60}, .take_turns = seating == Seating::Replay, .in_words = {}},
        [&](Communicator& host) {
          SeatOptions seat;
          seat.seating = seating;
          seat.partitions = ranks;
          seat.partition = host.rank();
          seat.communicate_alone = true;
          const auto device = engine_->open(host, seat);
          body(*device);
        });
  }
  void require_parts() {
    if (!engine_->devices().front().green_contexts) {
      GTEST_SKIP() << "green contexts need compute capability 9.0";
    }
  }

  Engine* engine_ = nullptr;
};

std::vector<float> downloaded(Device& device, const Tensor& tensor) {
  std::vector<float> values(tensor.elements().size());
  device.download(tensor.memory(), std::as_writable_bytes(std::span(values)));
  return values;
}

Tensor uploaded(Device& device, const std::vector<float>& values) {
  Tensor tensor(device, 1, static_cast<std::int64_t>(values.size()), MemoryTerm::Workspace);
  device.upload(std::as_bytes(std::span(values)), tensor.memory());
  return tensor;
}

/// Sums, gathers, messages of small integers, which floats hold exactly.
void check_group(Device& device) {
  Communicator& world = device.world();
  const int n = world.size(), rank = world.rank();
  for (const int size : {1, 3, 597, 4096, 100'003}) {
    const Tensor sum = uploaded(device, std::vector<float>(size, static_cast<float>(rank + 1)));
    world.all_reduce(sum.buffer(), Reduction::Sum);
    for (const float x : downloaded(device, sum)) {
      ASSERT_EQ(x, static_cast<float>(n * (n + 1) / 2)) << size;
    }
    const Tensor most = uploaded(device, std::vector<float>(size, static_cast<float>(rank)));
    world.all_reduce(most.buffer(), Reduction::Max);
    for (const float x : downloaded(device, most)) ASSERT_EQ(x, static_cast<float>(n - 1));
    const Tensor mine = uploaded(device, std::vector<float>(size, static_cast<float>(rank)));
    const Tensor all(device, n, size, MemoryTerm::Workspace);
    world.all_gather(mine.buffer(), all.buffer());
    const std::vector<float> gathered = downloaded(device, all);
    for (int r = 0; r < n; ++r) ASSERT_EQ(gathered[r * size], static_cast<float>(r));
    world.reduce_scatter(all.buffer(), mine.buffer());
    for (const float x : downloaded(device, mine)) ASSERT_EQ(x, static_cast<float>(n * rank));
  }
  world.barrier();
  if (n == 1) return;
  const Tensor out = uploaded(device, std::vector<float>(1000, static_cast<float>(rank)));
  const Tensor in(device, 1, 1000, MemoryTerm::Workspace);
  const Transfer transfers[] = {{Transfer::Kind::Send, (rank + 1) % n, 3, out.buffer()},
                                {Transfer::Kind::Receive, (rank + n - 1) % n, 3, in.buffer()}};
  world.exchange(transfers);
  for (const float x : downloaded(device, in)) ASSERT_EQ(x, static_cast<float>((rank + n - 1) % n));
  const auto pair = world.split(rank / 2, rank, Queue::Compute);
  const Tensor one = uploaded(device, {static_cast<float>(rank)});
  pair->all_reduce(one.buffer(), Reduction::Sum);
  const int first = rank / 2 * 2;
  const float expected = static_cast<float>(pair->size() == 2 ? 2 * first + 1 : first);
  ASSERT_EQ(downloaded(device, one).front(), expected);
}

TEST_F(GpuEngine, OneRankTalksToItselfOverNccl) { run(1, Seating::OneEach, check_group); }

TEST_F(GpuEngine, VirtualRanksTakeTurns) {
  for (const int ranks : {1, 2, 3, 8}) run(ranks, Seating::Replay, check_group);
}

TEST_F(GpuEngine, PartsOfTheDeviceCommunicate) {
  require_parts();
  for (const int ranks : {2, 4, 8}) run(ranks, Seating::Partitioned, check_group);
}

TEST_F(GpuEngine, MomentsAreInOrder) {
  run(1, Seating::OneEach, [](Device& device) {
    const Tensor x(device, 4096, 4096, MemoryTerm::Workspace);
    const Moment begin = device.record(Queue::Compute);
    device.launch(kernels::Fill{x.view(), 1.0F});
    const Moment end = device.record(Queue::Compute);
    device.order(end, Queue::DataParallel);
    const Moment beside = device.record(Queue::DataParallel);
    device.wait();
    EXPECT_LT(device.at(begin), device.at(end));
    EXPECT_LE(device.at(end), device.at(beside));
  });
}

TEST_F(GpuEngine, CountsWhatIsAllocated) {
  run(1, Seating::OneEach, [](Device& device) {
    {
      const Tensor x(device, 1000, 1000, MemoryTerm::Weights);
      EXPECT_EQ(device.memory().now().total(), profiles::Bytes{4'000'000});
    }
    EXPECT_EQ(device.memory().now().total(), profiles::Bytes{0});
    EXPECT_EQ(device.memory().peak().total(), profiles::Bytes{4'000'000});
  });
}

/// fp32 on both sides. Products and sums are taken in another order, and transcendental functions
/// differ in the last bits: a few 1e-6 of the loss over five steps.
constexpr double kSameLoss = 1e-5;

void compare_with_host(Engine& engine, const char* layout, Seating seating) {
  for (const Family family : {Family::Gpt, Family::Llama}) {
    const Training training = tiny_training(tiny_model(family), layout);
    const double tolerance = kSameLoss;
    const auto on_host = run_on_threads(tiny_training(tiny_model(family), "tp1,pp1,dp1,mbs8"), {});
    const auto on_device = run_on_engine(engine, training, seating, Seconds{100});
    for (std::size_t step = 0; step < on_host.front().losses.size(); ++step) {
      const double expected = on_host.front().losses[step];
      EXPECT_NEAR(on_device.front().losses[step], expected, tolerance * expected)
          << layout << ", step " << step;
    }
  }
}

TEST_F(GpuEngine, EveryLayoutHasTheLossOfOneRankOfTheHost) {
  for (const char* layout :
       {"tp1,pp1,dp1,mbs2", "tp2,pp1,dp1,mbs2,sp", "tp1,pp2,dp1,mbs1", "tp1,pp2,dp1,mbs1,vpp2",
        "tp1,pp1,dp2,mbs2,zero1,overlap=grad+param", "tp2,pp2,dp2,mbs1,sp,zero1,overlap=grad",
        "tp4,pp1,dp1,mbs1,sp,recompute=full", "tp1,pp4,dp2,mbs1,schedule=zb-h1"}) {
    compare_with_host(*engine_, layout, Seating::Replay);
  }
}

TEST_F(GpuEngine, PartsOfTheDeviceTrainAsOneRank) {
  require_parts();
  for (const char* layout : {"tp2,pp1,dp1,mbs2,sp", "tp1,pp2,dp1,mbs1", "tp1,pp1,dp2,mbs2,zero1",
                             "tp2,pp2,dp1,mbs1,sp", "tp2,pp2,dp2,mbs1,sp,zero1,overlap=grad"}) {
    compare_with_host(*engine_, layout, Seating::Partitioned);
  }
}

}  // namespace
}  // namespace meshplan::runtime
