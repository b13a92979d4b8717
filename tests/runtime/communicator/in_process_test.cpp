#include "runtime/communicator/in_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <span>
#include <stdexcept>
#include <thread>
#include <vector>

#include "communicator_claims.h"
#include "runtime/communicator/lone.h"

namespace meshplan::runtime {
namespace {

using profiles::Seconds;
using testing::AllOf;
using testing::HasSubstr;

struct Case {
  Claim claim;
  int ranks;
  bool take_turns;
};

class InProcess : public testing::TestWithParam<Case> {};

TEST_P(InProcess, KeepsTheClaim) {
  const Case& c = GetParam();
  run_in_process(c.ranks, {.timeout = Seconds{20}, .take_turns = c.take_turns, .in_words = {}},
                 c.claim.check);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Claim& claim : kClaims) {
    for (const int ranks : {1, 2, 3, 4, 8}) {
      for (const bool take_turns : {false, true}) all.push_back({claim, ranks, take_turns});
    }
  }
  return all;
}

std::string label(const testing::TestParamInfo<Case>& test) {
  return std::string(test.param.claim.name) + "_" + std::to_string(test.param.ranks) +
         (test.param.take_turns ? "_in_turns" : "");
}

INSTANTIATE_TEST_SUITE_P(Claims, InProcess, testing::ValuesIn(cases()), label);

TEST(InProcessReduction, SumsInTheOrderOfRanks) {
  // 1e8 + 1 - 1e8 in floats: left to right the 1 is lost (1e8 has spacing 8), so the sum in rank
  // order is 0 for (1e8, 1, -1e8) and 1 for (1e8, -1e8, 1).
  const auto sum_of = [](std::vector<float> values) {
    std::atomic<float> result{-1};
    run_in_process(3, {}, [&](Communicator& group) {
      std::vector<float> x(5, values[group.rank()]);
      group.all_reduce(x, Reduction::Sum);
      if (group.rank() == 2) result = x[4];
    });
    return result.load();
  };
  EXPECT_EQ(sum_of({1e8F, 1.0F, -1e8F}), 0.0F);
  EXPECT_EQ(sum_of({1e8F, -1e8F, 1.0F}), 1.0F);
}

/// What a failed run says.
std::string failure_of(int ranks, const InProcessOptions& options,
                       const std::function<void(Communicator&)>& body) {
  try {
    run_in_process(ranks, options, body);
  } catch (const RankFailure& failure) {
    return failure.what();
  }
  return "no failure";
}

TEST(InProcessFailure, ARankThatThrowsEndsEveryWait) {
  for (const bool take_turns : {false, true}) {
    const std::string said =
        failure_of(4, {.timeout = Seconds{20}, .take_turns = take_turns, .in_words = {}},
                   [](Communicator& group) {
                     group.barrier();
                     group.note({.step = 3, .instruction = 10 + group.rank()});
                     group.barrier();
                     if (group.rank() == 2) throw std::runtime_error("out of luck");
                     group.barrier();
                   });
    EXPECT_THAT(
        said, AllOf(HasSubstr("rank 2: out of luck"), HasSubstr("rank 0 at step 3, instruction 10"),
                    HasSubstr("rank 3 at step 3, instruction 13")));
  }
}

TEST(InProcessFailure, AMissingCallIsNamedAfterTheTimeout) {
  const std::string said = failure_of(
      3, {.timeout = Seconds{0.2}, .take_turns = false, .in_words = {}}, [](Communicator& group) {
        group.note({.step = 0, .instruction = group.rank()});
        if (group.rank() == 1) return;  // never joins the others
        std::vector<float> x(3);
        group.all_reduce(x, Reduction::Sum);
      });
  EXPECT_THAT(said, HasSubstr("in all_reduce for rank 1"));
}

TEST(InProcessFailure, AReceiveWithoutASendIsNamedAfterTheTimeout) {
  const std::string said = failure_of(
      2, {.timeout = Seconds{0.2}, .take_turns = false, .in_words = {}}, [](Communicator& group) {
        std::vector<float> x(3);
        if (group.rank() == 0) group.receive(x, 1, 4);
      });
  EXPECT_THAT(said, HasSubstr("rank 0 waited"));
  EXPECT_THAT(said, HasSubstr("in receive for rank 1"));
}

TEST(InProcessFailure, BuffersOutliveTheirReaders) {
  // A pair sums fresh buffers over and over while a third rank fails: the one of the pair that
  // leaves first must not free what the other still reads. The address sanitizer looks on.
  for (int round = 0; round < 30; ++round) {
    const std::string said =
        failure_of(3, {.timeout = Seconds{20}, .take_turns = false, .in_words = {}},
                   [round](Communicator& world) {
                     const auto pair = world.split(world.rank() / 2, world.rank());
                     if (world.rank() == 2) {
                       std::this_thread::sleep_for(std::chrono::microseconds(50 * round));
                       throw std::runtime_error("gone");
                     }
                     for (;;) {
                       std::vector<float> x(100'000, 1.0F);
                       pair->all_reduce(x, Reduction::Sum);
                     }
                   });
    EXPECT_THAT(said, HasSubstr("rank 2: gone"));
  }
}

TEST(InProcessFailure, AStalledRankIsLeftBehind) {
  for (const bool take_turns : {false, true}) {
    const auto released = std::make_shared<std::atomic<bool>>(false);
    const auto gone = std::make_shared<std::atomic<bool>>(false);
    const std::string said =
        failure_of(2,
                   {.timeout = Seconds{0.2},
                    .take_turns = take_turns,
                    .in_words = [](int rank, Place) { return "word " + std::to_string(rank); }},
                   [released, gone](Communicator& group) {
                     group.barrier();
                     if (group.rank() == 1) {
                       while (!*released) std::this_thread::sleep_for(std::chrono::milliseconds(5));
                       *gone = true;
                       return;
                     }
                     group.barrier();
                   });
    EXPECT_THAT(said, AllOf(HasSubstr("rank 1"), HasSubstr("rank 0 at word 0")));
    *released = true;  // let the thread that was left behind end before the test does
    while (!*gone) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

TEST(Lone, GivesNumbersInPlaceOfThoseOfOthers) {
  run_in_process(1, {}, [](Communicator& watched) {
    Lone group(1, 3, watched);
    std::vector<float> mine = {1, 2}, all(6), part(2), message(5, 7.0F);
    group.all_reduce(mine, Reduction::Sum);
    EXPECT_EQ(mine, (std::vector<float>{1, 2}));
    group.all_gather(mine, all);
    EXPECT_EQ(all, (std::vector<float>{1, 2, 1, 2, 1, 2}));
    all = {0, 1, 2, 3, 4, 5};
    group.reduce_scatter(all, part);
    EXPECT_EQ(part, (std::vector<float>{2, 3}));
    group.receive(message, 0, 0);
    for (const float x : message) EXPECT_LE(std::abs(x), 0.5F);
    EXPECT_NE(message[0], message[1]);
    EXPECT_THROW(group.split(0, 0, Queue::Compute), std::logic_error);
  });
}

}  // namespace
}  // namespace meshplan::runtime
