// A rank that throws or stalls while it serves ends the run with everybody's step.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "faulty_device.h"
#include "planner/layout/layout_text.h"
#include "runtime/communicator/in_process.h"
#include "runtime/serve/serve_rank.h"
#include "tiny_training.h"

namespace meshplan::runtime {
namespace {

using profiles::Seconds;
using testing::AllOf;
using testing::HasSubstr;

/// Two requests on two stages of two layers: the third attention of rank 0 is in micro-batch 1 of
/// step 0, which reads both prompts.
std::string failure_of(Seconds timeout, const std::function<void()>& fault) {
  const auto serving = std::make_shared<Serving>();
  serving->model = tiny_model(Family::Llama);
  serving->layout = planner::layout_from_text("tp1,pp2,dp1");
  serving->schedule = planner::serving_schedule(
      {}, {.prompt = 4, .output = 4, .users = 2, .requests = 2, .prompts_first = true}, 1000);
  try {
    run_in_process(2,
                   {.timeout = timeout, .take_turns = false, .in_words = step_in_words(*serving)},
                   [=](Communicator& world) {
                     FaultyDevice device(world, world.rank() == 0 ? 3 : -1, fault);
                     serve_rank(*serving, device);
                   });
  } catch (const RankFailure& failure) {
    return failure.what();
  }
  return "no failure";
}

TEST(ServingFaults, ARankThatThrowsIsNamedWithEverybodysStep) {
  EXPECT_THAT(failure_of(Seconds{20}, [] { throw std::runtime_error("memory gone bad"); }),
              AllOf(HasSubstr("rank 0: memory gone bad"),
                    HasSubstr("rank 0 at step 0, instruction 1 (of 2 micro-batches, 4 tokens of 1 "
                              "requests; step 0 of round 0)"),
                    HasSubstr("rank 1 at")));
}

TEST(ServingFaults, ARankThatStallsIsNamedWithinTheTimeout) {
  const auto released = std::make_shared<std::atomic<bool>>(false);
  const auto gone = std::make_shared<std::atomic<bool>>(false);
  const std::string said = failure_of(Seconds{0.3}, [released, gone] {
    while (!*released) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    *gone = true;
    throw std::runtime_error("woken up too late");
  });
  EXPECT_THAT(said, AllOf(HasSubstr("rank 0"), HasSubstr("step 0 of round 0")));
  *released = true;
  while (!*gone) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // the thread unwinds
}

}  // namespace
}  // namespace meshplan::runtime
