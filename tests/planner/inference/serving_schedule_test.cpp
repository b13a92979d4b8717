#include "planner/inference/serving_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::Engine;
using profiles::Seconds;
using testing::ElementsAre;

TEST(ServingSchedule, SaysWhichTokensOfWhichRequestEachStepReads) {
  // Ten tokens a step, a place in the cache promised. A's prompt | 9 of B's beside A's first token
  // | the last of B's beside A's second, which ends A | B's two.
  Engine engine;
  engine.max_batched_tokens = 10;
  engine.reserved_output = 1;
  const Load two{.prompt = 10, .output = 3, .users = 2, .requests = 2};
  const ServingSchedule schedule = serving_schedule(engine, two, 1000);
  ASSERT_EQ(schedule.steps.size(), 5U);
  EXPECT_THAT(schedule.steps[0].work, ElementsAre(RequestWork{0, 0, 10}));
  EXPECT_THAT(schedule.steps[1].work, ElementsAre(RequestWork{1, 0, 9}, RequestWork{0, 10, 1}));
  EXPECT_THAT(schedule.steps[2].work, ElementsAre(RequestWork{1, 9, 1}, RequestWork{0, 11, 1}));
  EXPECT_THAT(schedule.steps[3].work, ElementsAre(RequestWork{1, 10, 1}));
  EXPECT_THAT(schedule.steps[4].work, ElementsAre(RequestWork{1, 11, 1}));
  EXPECT_EQ(schedule.steps[1].totals.prompt_tokens, 9);
  EXPECT_EQ(schedule.steps[1].totals.decoding, 1);
}

TEST(ServingSchedule, IsRefusedWhereTheClockDecides) {
  Engine engine;
  engine.request = Seconds{0.01};
  const Load users{.prompt = 4, .output = 2, .users = 2, .requests = 4, .online = true};
  EXPECT_THROW(serving_schedule(engine, users, 1000), profiles::InputError);
  Load offline = users;
  offline.online = false;
  EXPECT_FALSE(serving_schedule(engine, offline, 1000).steps.empty());
}

TEST(ServingSchedule, IsEmptyWhereNoRequestFits) {
  EXPECT_TRUE(serving_schedule({}, {.prompt = 8, .output = 3}, 10).steps.empty());
}

Engine any_engine() {
  Engine out;
  out.max_batched_tokens = *rc::gen::inRange(12, 60);
  out.max_sequences = *rc::gen::inRange(1, 8);
  out.chunked_prefill = *rc::gen::arbitrary<bool>();
  out.fuses_prefill = *rc::gen::arbitrary<bool>();
  out.reserved_output = *rc::gen::element(0.0, 0.5, 1.0);
  return out;
}
Load any_load() {
  Load out;
  out.prompt = *rc::gen::inRange(1, 12);
  out.output = *rc::gen::inRange(1, 12);
  out.users = *rc::gen::inRange(1, 10);
  out.requests = out.users * *rc::gen::inRange(1, 4);
  out.spread = *rc::gen::element(0.0, 0.3);
  out.online = *rc::gen::arbitrary<bool>();
  out.prompts_first = !out.online && *rc::gen::arbitrary<bool>();
  return out;
}

TEST(ServingSchedule, GivesEveryTokenOnceAndReadsNoneBeforeItIsThere) {
  EXPECT_TRUE(rc::check([] {
    const Load load = any_load();
    const ServingSchedule schedule =
        serving_schedule(any_engine(), load, *rc::gen::inRange(40, 120));
    RC_ASSERT(static_cast<int>(schedule.requests.size()) == load.requests);
    std::vector<int> given(schedule.requests.size(), 0), cached(schedule.requests.size(), 0);
    for (const ServingStep& step : schedule.steps) {
      RC_ASSERT(!step.work.empty());
      for (const RequestWork& w : step.work) {
        const auto r = static_cast<std::size_t>(w.request);
        const int length = schedule.requests[r].prompt + given[r];
        RC_ASSERT(w.first == 0 || w.first == cached[r]);  // 0 again: it was preempted
        RC_ASSERT(w.first + w.tokens <= length);
        cached[r] = w.first + w.tokens;
        if (cached[r] == length) ++given[r];
      }
    }
    for (std::size_t r = 0; r < given.size(); ++r) {
      RC_ASSERT(given[r] == schedule.requests[r].output);
    }
  }));
}

TEST(ServingSchedule, PricedStepByStepIsWhatServePredicts) {
  EXPECT_TRUE(rc::check([] {
    Engine engine = any_engine();
    // Nobody is preempted: serve() takes the quiet steps after that together, while the schedule
    // takes the request in again as soon as it fits.
    engine.reserved_output = 1;
    const Load load = any_load();
    const std::int64_t room = *rc::gen::inRange(40, 120);
    // Linear in the keys, as serve() takes runs of steps together.
    const StepCost cost = [](const Step& s) {
      return Seconds{1 + 0.1 * s.prompt_tokens + 0.01 * s.decoding * s.cached};
    };
    const Service expected = serve(cost, engine, load, room);
    const ServingSchedule schedule = serving_schedule(engine, load, room);
    std::vector<Seconds> ends;
    for (const ServingStep& step : schedule.steps) {
      ends.push_back(cost(step.totals) + (ends.empty() ? Seconds{0} : ends.back()));
    }
    const Service found = service_of(schedule, ends);
    const auto near = [](double a, double b) {
      return std::abs(a - b) <= 1e-9 * (1 + std::abs(b));
    };
    RC_ASSERT(near(found.duration.count(), expected.duration.count()));
    RC_ASSERT(near(found.ttft.count(), expected.ttft.count()));
    RC_ASSERT(near(found.tpot.count(), expected.tpot.count()));
    RC_ASSERT(near(found.tokens_per_second, expected.tokens_per_second));
    RC_ASSERT(near(found.decoding, expected.decoding));
  }));
}

}  // namespace
}  // namespace meshplan::planner
