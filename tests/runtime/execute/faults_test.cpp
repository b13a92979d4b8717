// A rank that throws or stalls in the middle of a step ends the run with everybody's place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>

#include "faulty_device.h"
#include "profiles/input_error.h"
#include "runtime/communicator/in_process.h"
#include "runtime/execute/run_on_threads.h"
#include "tiny_training.h"

namespace meshplan::runtime {
namespace {

using profiles::Seconds;
using testing::AllOf;
using testing::HasSubstr;

std::string failure_of(const std::shared_ptr<const Training>& training, Seconds timeout,
                       bool take_turns, int faulty_rank, const std::function<void()>& fault) {
  try {
    run_in_process(
        training->layout.devices(),
        {.timeout = timeout, .take_turns = take_turns, .in_words = instruction_in_words(*training)},
        [=](Communicator& world) {
          FaultyDevice device(world, world.rank() == faulty_rank ? 3 : -1, fault);
          run_rank(*training, device);
        });
  } catch (const RankFailure& failure) {
    return failure.what();
  }
  return "no failure";
}

// Two layers a stage, so the third attention of a stage is in its second Forward: micro-batch 1.
// Stage 0 starts with F0, send, F1 (1F1B of two stages: one warm-up forward, then F1 B0 ...).
std::shared_ptr<const Training> pipeline() {
  return std::make_shared<Training>(tiny_training(tiny_model(Family::Llama), "tp2,pp2,dp1,mbs1"));
}

TEST(Faults, ARankThatThrowsIsNamedWithEverybodysInstruction) {
  for (const bool take_turns : {false, true}) {
    const std::string said = failure_of(pipeline(), Seconds{20}, take_turns, 1,
                                        [] { throw std::runtime_error("memory gone bad"); });
    EXPECT_THAT(said, AllOf(HasSubstr("rank 1: memory gone bad"),
                            HasSubstr("rank 1 at step 0, instruction"),
                            HasSubstr("chunk 0, micro-batch 1"), HasSubstr("rank 3 at")));
  }
}

TEST(Faults, ARankThatStallsIsNamedWithinTheTimeout) {
  const auto released = std::make_shared<std::atomic<bool>>(false);
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  const auto begin = std::chrono::steady_clock::now();
  const std::string said = failure_of(pipeline(), Seconds{0.3}, false, 0, [released, gone] {
    while (!*released) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    *gone = true;
    throw std::runtime_error("woken up too late");
  });
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_THAT(said, AllOf(HasSubstr("rank 0"), HasSubstr("chunk 0, micro-batch 1")));
  // The timeout and a second of grace, and plenty for a loaded machine: not a measurement.
  EXPECT_LT(took, std::chrono::seconds(30));
  *released = true;
  while (!*gone) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // the thread unwinds
}

TEST(Unsupported, IsRefusedInOneLineBeforeAnythingRuns) {
  const auto refusal = [](Training training) {
    try {
      run_on_threads(training, {});
    } catch (const profiles::InputError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const Training good = tiny_training(tiny_model(Family::Gpt), "tp1,pp1,dp1,mbs1");
  Training training = good;
  training.layout.zero = 3;
  training.layout.dp = 2;
  EXPECT_THAT(refusal(training), HasSubstr("zero3"));
  training = good;
  training.workload.data_type = profiles::DataType::Fp16;
  EXPECT_THAT(refusal(training), HasSubstr("fp16"));
  training = good;
  training.model.experts.emplace();
  EXPECT_THAT(refusal(training), HasSubstr("experts"));
  training = good;
  training.layout.tp = 3;  // 4 heads
  EXPECT_THAT(refusal(training), HasSubstr("tp"));
  training = good;
  training.workload.global_batch = 16;  // the schedule has 8 micro-batches
  EXPECT_THAT(refusal(training), HasSubstr("schedule"));
}

}  // namespace
}  // namespace meshplan::runtime
