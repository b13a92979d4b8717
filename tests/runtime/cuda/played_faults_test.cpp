// The GPU engine when something fails: every call once, a device in the middle of a run, the links
// between devices; on a machine that threads play. Each time the run ends in words that say what
// failed, and nothing is left behind.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <string>
#include <thread>

#include "played/played.h"
#include "profiles/input_error.h"
#include "runtime/device/tensor.h"
#include "runtime/execute/run_on_engine.h"
#include "tiny_training.h"

namespace meshplan::runtime {
namespace {

using played::Alive;
using played::machine;
using profiles::Seconds;
using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

/// What run() says of a failure; "" when it ended well.
std::string failure_of(const std::function<void()>& run) {
  try {
    run();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

/// Threads that a failed run has left behind end when what they wait for does.
testing::AssertionResult nothing_left() {
  Alive left;
  for (int i = 0; i < 1000; ++i) {
    left = played::alive();
    if (left.streams + left.events + left.blocks + left.green_contexts + left.communicators == 0) {
      return testing::AssertionSuccess();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return testing::AssertionFailure()
         << left.streams << " streams, " << left.events << " events, " << left.blocks
         << " blocks of memory, " << left.green_contexts << " green contexts, "
         << left.communicators << " communicators are left";
}

std::string trained(const char* layout, Seating seating, Seconds timeout = Seconds{20}) {
  Training training = tiny_training(tiny_model(Family::Gpt), layout);
  training.options.steps = 2;
  return failure_of([&] { run_on_engine(load_engine(), training, seating, timeout); });
}

// Before anything has used a device.
TEST(PlayedEngine, DescribesDevicesWithoutStartingThem) {
  Engine& engine = load_engine();
  EXPECT_EQ(engine.devices().size(), 8U);
  EXPECT_EQ(engine.links(3).switch_nvlinks, 18);
  EXPECT_EQ(engine.links(3).pci_device, "0x2335");
  EXPECT_EQ(engine.state(1).watts, 412.5);
  EXPECT_EQ(engine.multiprocessors_of_partition(0, 4), 32);
  EXPECT_THROW((void)engine.multiprocessors_of_partition(0, 32), profiles::InputError);
  EXPECT_THAT(engine.description(), AllOf(HasSubstr("CUDA 1"), HasSubstr("NCCL 2")));
  EXPECT_EQ(played::alive().contexts, 0);
}

TEST(PlayedEngine, TellsWhatTheContextAndTheCommunicatorsTake) {
  Engine& engine = load_engine();
  run_in_process(2, {.timeout = Seconds{20}, .take_turns = false, .in_words = {}},
                 [&engine](Communicator& host) {
                   SeatOptions seat;
                   seat.ordinal = host.rank();
                   const auto device = engine.open(host, seat);
                   const FixedMemory fixed = device->fixed_memory();
                   EXPECT_EQ(fixed.context.count, std::int64_t{400} << 20);  // as played
                   EXPECT_EQ(fixed.communicators.count, (std::int64_t{4} << 20) + 4);
                 });
  EXPECT_EQ(played::alive().contexts, 2);
}

/// The reason of a plug-in that does not start.
std::string refusal() {
  void* plugin = dlopen(MESHPLAN_PLAYED_PLUGIN, RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr) return dlerror();
  const auto entry = reinterpret_cast<EngineEntry*>(dlsym(plugin, kEngineEntry));
  std::array<char, 512> reason{};
  const std::unique_ptr<Engine> engine(entry(reason.data(), reason.size()));
  return engine == nullptr ? reason.data() : "it starts";
}

TEST(PlayedEngine, SaysWhichDriverIsMissing) {
  const auto with = [](int driver, int devices) {
    const auto before = machine();
    machine().driver = driver;
    machine().devices = devices;
    const std::string said = refusal();
    machine() = before;
    return said;
  };
  EXPECT_EQ(with(CUDART_VERSION, 8), "it starts");
  EXPECT_EQ(with(0, 8), "no NVIDIA driver (libcuda.so.1)");
  EXPECT_THAT(with(12020, 8), HasSubstr("the NVIDIA driver is of CUDA 12.2, older than CUDA "));
  EXPECT_EQ(with(CUDART_VERSION, 0), "the NVIDIA driver shows no device");
}

struct Failing {
  const char* call;  ///< as played::fail_next knows it
  const char* words;
  bool estimates = false;  ///< late calls of it are for estimates, which a run does without
};
void PrintTo(const Failing& failing, std::ostream* out) { *out << failing.call; }

/// An error that the call's library knows.
int error_of(std::string_view call) {
  if (call.starts_with("nccl")) return ncclInternalError;
  if (call.starts_with("cublas")) return 14;  // CUBLAS_STATUS_INTERNAL_ERROR
  return cudaErrorUnknown;                    // of the driver as well
}

class EveryCall : public testing::TestWithParam<Failing> {};

/// Seats of all kinds meet the failure at the first call, and in the middle of their start or run.
TEST_P(EveryCall, ThatFailsEndsTheRunInWordsAndLeavesNothing) {
  const auto& [call, words, estimates] = GetParam();
  int failures = 0;
  for (const auto& [layout, seating] : {std::pair("tp2,pp1,dp1,mbs2,sp", Seating::OneEach),
                                        std::pair("tp1,pp2,dp1,mbs2", Seating::Partitioned),
                                        std::pair("tp1,pp1,dp2,mbs2", Seating::Replay)}) {
    for (const int spared : {0, 5, 50}) {
      SCOPED_TRACE(std::string(layout) + ", " + std::to_string(spared) + " spared");
      played::fail_next(call, error_of(call), spared);
      const std::string said = trained(layout, seating);
      if (!played::failed(call)) continue;  // fewer calls than that
      ++failures;
      const bool only_estimates = estimates && spared > 0 && said.empty();
      EXPECT_TRUE(only_estimates || said.find(words) != std::string::npos) << said;
      ASSERT_TRUE(nothing_left());
    }
  }
  EXPECT_GT(failures, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Played, EveryCall,
    testing::Values(
        Failing{"cudaMalloc", "cudaMalloc"}, Failing{"cudaMallocHost", "cudaMallocHost"},
        Failing{"cudaStreamCreate", "cudaStreamCreate"},
        Failing{"cudaEventCreate", "cudaEventCreate"},
        Failing{"cudaEventRecord", "cudaEventRecord"}, Failing{"cudaEventQuery", "cudaEvent"},
        Failing{"cudaEventSynchronize", "cudaEventSynchronize"},
        Failing{"cudaEventElapsedTime", "cudaEventElapsedTime"},
        Failing{"cudaStreamWaitEvent", "cudaStreamWaitEvent"},
        Failing{"cudaStreamQuery", "the work of a stream"},
        Failing{"cudaMemcpyAsync", "cudaMemcpyAsync"}, Failing{"cudaMemGetInfo", "cudaMemGetInfo"},
        Failing{"cudaSetDevice", "cudaSetDevice", true},
        Failing{"cuGreenCtxCreate", "cuGreenCtxCreate"},
        Failing{"cublasLtCreate", "cublasLtCreate"}, Failing{"cublasLtMatmul", "cublasLtMatmul"},
        Failing{"ncclGetUniqueId", "ncclGetUniqueId"},
        Failing{"ncclCommInitRankConfig", "runtime/cuda/nccl_seat.cpp", true},
        Failing{"ncclGroupEnd", "runtime/cuda/nccl_seat.cpp"}),
    [](const auto& failing) { return std::string(failing.param.call); });

/// Runs two ranks, a device each, that reduce again and again until `fault` has had its effect.
std::string broken_by(const std::function<void()>& fault, Seconds timeout = Seconds{20}) {
  return failure_of([&] {
    run_in_process(2, {.timeout = timeout, .take_turns = false, .in_words = {}},
                   [timeout, fault](Communicator& host) {
                     SeatOptions seat;
                     seat.ordinal = host.rank();
                     seat.timeout = timeout;
                     const auto device = load_engine().open(host, seat);
                     const Tensor x(*device, 64, 64, MemoryTerm::Workspace);
                     device->launch(kernels::Fill{x.view(), 0.0F});
                     for (int i = 0; i < 1'000'000; ++i) {
                       host.note({0, i});
                       if (i == 20 && host.rank() == 1) fault();
                       device->world().all_reduce(x.buffer(), Reduction::Sum);
                       device->wait();
                     }
                   });
  });
}

TEST(PlayedFaults, AFaultOfAKernelEndsAllRanks) {
  const std::string said = broken_by([] { played::break_device(1, cudaErrorIllegalAddress); });
  played::break_device(1, cudaSuccess);
  EXPECT_THAT(said, AllOf(HasSubstr("rank 1: "), HasSubstr("an illegal memory access"),
                          HasSubstr("rank 0 at step 0, instruction ")));
  EXPECT_TRUE(nothing_left());
}

TEST(PlayedFaults, AnErrorThatNcclTellsOfEndsAllRanks) {
  // Either the watcher or the next call hears of it first.
  EXPECT_THAT(broken_by([] { played::break_communicators(0, ncclRemoteError); }),
              AllOf(HasSubstr("rank 0: "), HasSubstr("remote process exited"),
                    HasSubstr("rank 1 at step 0, instruction 2")));
  EXPECT_TRUE(nothing_left());
}

TEST(PlayedFaults, ADeviceThatHangsEndsTheRunWithinTheTimeout) {
  const auto begin = std::chrono::steady_clock::now();
  const std::string said = broken_by([] { played::stall_device(1, true); }, Seconds{0.4});
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
  EXPECT_THAT(said, AllOf(AnyOf(HasSubstr(" waited 0.4"), HasSubstr("made no progress for 0.4")),
                          HasSubstr("rank 1 at step 0, instruction 20")));
  played::stall_device(1, false);
  EXPECT_TRUE(nothing_left());
}

TEST(PlayedFaults, ADeviceThatIsFullSaysHowMuchWasWanted) {
  const std::int64_t before = machine().memory_bytes;
  machine().memory_bytes = std::int64_t{460} << 20;  // 400 MiB are the context's
  const std::string said = trained("tp1,pp1,dp1,mbs2", Seating::OneEach);
  machine().memory_bytes = before;
  EXPECT_THAT(said, AllOf(HasSubstr("rank 0: out of memory of the device: 67108864 bytes"),
                          HasSubstr("of 482344960 are free")));
  EXPECT_TRUE(nothing_left());
}

TEST(PlayedFaults, LongRunsNeedNoMoreEvents) {
  Engine& engine = load_engine();
  run_in_process(1, {.timeout = Seconds{60}, .take_turns = false, .in_words = {}},
                 [&engine](Communicator& host) {
                   const auto device = engine.open(host, {});
                   int most = 0;
                   for (int i = 0; i < 50'000; ++i) {
                     device->record();
                     if (i % 1000 == 0) device->wait();
                     if (i % 1000 == 0) most = std::max(most, played::alive().events);
                   }
                   EXPECT_LT(most, 5000);
                 });
}

}  // namespace
}  // namespace meshplan::runtime
