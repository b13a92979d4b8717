// The GPU engine on GPUs; skipped where there are none. CI runs it on GPUs that threads play
// (played.h), under the name of played_cuda_test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "runtime/device/tensor.h"
#include "runtime/execute/run_on_engine.h"
#include "runtime/execute/run_on_threads.h"
#include "runtime/execute/whole_gradients.h"
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
      // A plug-in that no machine could load is no matter of a missing device.
      ASSERT_THAT(missing.what(), testing::Not(testing::HasSubstr("undefined symbol")));
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
          if (seating == Seating::OneEach) seat.ordinal = host.rank();
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

  void require_devices(int count) {
    if (static_cast<int>(engine_->devices().size()) < count) {
      GTEST_SKIP() << "fewer than " << count << " devices";
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

TEST_F(GpuEngine, DevicesCommunicate) {
  require_devices(2);
  run(2, Seating::OneEach, check_group);
  require_devices(4);
  run(4, Seating::OneEach, check_group);
}

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

/// More moments than the device has events for.
TEST_F(GpuEngine, MomentsOfLongRunsAreKept) {
  run(1, Seating::OneEach, [](Device& device) {
    const Tensor x(device, 64, 64, MemoryTerm::Workspace);
    std::vector<Moment> moments;
    for (int i = 0; i < 10'000; ++i) {
      if (i % 100 == 0) device.launch(kernels::Fill{x.view(), 1.0F});
      moments.push_back(device.record(Queue::Compute));
    }
    device.order(moments.front(), Queue::DataParallel);
    device.wait();
    for (std::size_t i = 1; i < moments.size(); ++i) {
      ASSERT_LE(device.at(moments[i - 1]), device.at(moments[i])) << i;
    }
    EXPECT_LT(device.at(moments.front()), device.at(moments.back()));
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
/// differ in the last bits: a few 1e-6 of the loss over five steps, and of a gradient's largest
/// element.
constexpr double kSameLoss = 1e-5, kSameGradient = 1e-4;

const std::vector<RankResult>& one_rank_of_the_host(Family family) {
  static std::map<Family, std::vector<RankResult>> known;
  if (!known.contains(family)) {
    known[family] = run_on_threads(tiny_training(tiny_model(family), "tp1,pp1,dp1,mbs8"), {});
  }
  return known[family];
}

void compare_with_host(Engine& engine, const std::string& layout, Seating seating) {
  SCOPED_TRACE(layout);
  for (const Family family : {Family::Gpt, Family::Llama}) {
    const std::vector<RankResult>& expected = one_rank_of_the_host(family);
    const auto found =
        run_on_engine(engine, tiny_training(tiny_model(family), layout), seating, Seconds{100});
    for (std::size_t step = 0; step < expected.front().losses.size(); ++step) {
      const double loss = expected.front().losses[step];
      EXPECT_NEAR(found.front().losses[step], loss, kSameLoss * loss) << "step " << step;
    }
    const std::map<std::string, Matrix> gradients = whole_gradients(found, kSameGradient);
    for (const auto& [name, gradient] : whole_gradients(expected)) {
      ASSERT_TRUE(gradients.contains(name)) << name;
      // Without rotation softmax does not see a key bias: its gradient is rounding errors alone.
      if (family == Family::Gpt && name.ends_with("key bias")) continue;
      EXPECT_LT(relative_difference(gradients.at(name), gradient), kSameGradient) << name;
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

TEST_F(GpuEngine, DevicesTrainAsOneRank) {
  require_devices(2);
  for (const char* layout :
       {"tp1,pp1,dp1,mbs2", "tp2,pp1,dp1,mbs2,sp", "tp1,pp2,dp1,mbs1", "tp1,pp2,dp1,mbs1,vpp2",
        "tp1,pp2,dp1,mbs1,schedule=zb-v", "tp1,pp1,dp2,mbs2,zero1,overlap=grad+param"}) {
    compare_with_host(*engine_, layout, Seating::OneEach);
  }
  require_devices(4);
  for (const char* layout : {"tp2,pp2,dp1,mbs1,sp,overlap=grad", "tp4,pp1,dp1,mbs1,recompute=full",
                             "tp1,pp4,dp1,mbs1,schedule=zb-h1"}) {
    compare_with_host(*engine_, layout, Seating::OneEach);
  }
  require_devices(8);
  compare_with_host(*engine_, "tp2,pp2,dp2,mbs1,sp,zero1,overlap=grad+param", Seating::OneEach);
}

/// Neighbours in bf16 are 2^-7 apart relative to their size; errors of the tensors between input
/// and loss are independent and average over tokens.
void compare_bf16_with_host(Engine& engine, const std::string& layout, Seating seating) {
  Training training = tiny_training(tiny_model(Family::Llama), layout);
  training.workload.data_type = profiles::DataType::Bf16;
  const auto found = run_on_engine(engine, training, seating, Seconds{100});
  const std::vector<double>& exact = one_rank_of_the_host(Family::Llama).front().losses;
  for (std::size_t step = 0; step < exact.size(); ++step) {
    EXPECT_NEAR(found.front().losses[step], exact[step], 0x1p-7 * exact[step]) << layout;
  }
  EXPECT_NE(found.front().losses, exact) << "it is fp32 by mistake";
}

TEST_F(GpuEngine, DevicesTrainInBf16) {
  require_devices(2);
  for (const char* layout : {"tp2,pp1,dp1,mbs2,sp", "tp1,pp2,dp1,mbs1", "tp1,pp1,dp2,mbs2,zero1"}) {
    compare_bf16_with_host(*engine_, layout, Seating::OneEach);
  }
}

TEST_F(GpuEngine, PartsOfTheDeviceTrainInBf16) {
  require_parts();
  compare_bf16_with_host(*engine_, "tp2,pp2,dp1,mbs1,sp", Seating::Partitioned);
}

/// What run_in_process says when rank 1 does `fault` while rank 0 waits for it on the device.
std::string failure_of(Engine& engine, Seconds timeout, const std::function<void()>& fault) {
  try {
    run_in_process(2, {.timeout = timeout, .take_turns = false, .in_words = {}},
                   [&engine, timeout, fault](Communicator& host) {
                     SeatOptions seat;
                     seat.ordinal = host.rank();
                     seat.timeout = timeout;
                     const auto device = engine.open(host, seat);
                     if (host.rank() == 1) fault();
                     const Tensor x(*device, 64, 64, MemoryTerm::Workspace);
                     device->world().all_reduce(x.buffer(), Reduction::Sum);
                     device->wait();
                   });
  } catch (const RankFailure& failure) {
    return failure.what();
  }
  return "no failure";
}

TEST_F(GpuEngine, ARankThatThrowsEndsWhatItsPeersWaitForOnTheDevice) {
  require_devices(2);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT(failure_of(*engine_, Seconds{60}, [] { throw std::runtime_error("gone bad"); }),
              testing::HasSubstr("rank 1: gone bad"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST_F(GpuEngine, ARankThatIsSilentEndsTheOthersWithinTheTimeout) {
  require_devices(2);
  EXPECT_THAT(failure_of(*engine_, Seconds{0.5},
                         [] { std::this_thread::sleep_for(std::chrono::milliseconds(1200)); }),
              testing::AnyOf(testing::HasSubstr("rank 0 waited 0.5"),
                             testing::HasSubstr("made no progress for 0.5")));
}

}  // namespace
}  // namespace meshplan::runtime
