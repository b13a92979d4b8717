#include "planner/inference/serve.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace meshplan::planner {
namespace {

using profiles::Engine;
using profiles::Seconds;

/// An engine without costs of its own and no limits but those a test sets.
Engine plain() {
  Engine out;
  out.max_batched_tokens = 1000;
  out.max_sequences = 1000;
  out.reserved_output = 1;
  return out;
}

/// Every step takes a second, whatever is in it.
const StepCost kSecond = [](const Step&) { return Seconds{1}; };
constexpr std::int64_t kEndless = 1'000'000;

TEST(Serve, OneRequestTakesAStepForEachToken) {
  // The prompt's step gives the first token, three more steps the others.
  const Service s = serve(kSecond, plain(), {.prompt = 10, .output = 4}, kEndless);
  EXPECT_DOUBLE_EQ(s.ttft.count(), 1);
  EXPECT_DOUBLE_EQ(s.tpot.count(), 1);
  EXPECT_DOUBLE_EQ(s.duration.count(), 4);
  EXPECT_DOUBLE_EQ(s.tokens_per_second, 1);
}

TEST(Serve, LongPromptsAreReadInChunks) {
  // 10 tokens at 4 a step: 4 + 4 + 2.
  Engine engine = plain();
  engine.max_batched_tokens = 4;
  const Service s = serve(kSecond, engine, {.prompt = 10, .output = 1}, kEndless);
  EXPECT_DOUBLE_EQ(s.ttft.count(), 3);
  EXPECT_DOUBLE_EQ(s.tpot.count(), 0);
}

TEST(Serve, PromptsAndDecodingShareAStep) {
  // A budget of one prompt and one token: B is read while A decodes its second token.
  //   step 1: A's prompt | 2: B's prompt, A2 | 3: A3 B2 | 4: A4 B3 | 5: B4
  Engine engine = plain();
  engine.max_batched_tokens = 11;
  const Load two{.prompt = 10, .output = 4, .users = 2, .requests = 2};
  const Service s = serve(kSecond, engine, two, kEndless);
  EXPECT_DOUBLE_EQ(s.ttft.count(), 1.5);
  EXPECT_DOUBLE_EQ(s.tpot.count(), 1);
  EXPECT_DOUBLE_EQ(s.duration.count(), 5);
}

TEST(Serve, PromptsFirstMakesTheFirstRequestWait) {
  // step 1: A's prompt | 2: B's prompt | 3, 4, 5: both decode. A: (5 - 1) / 3, B: (5 - 2) / 3.
  Engine engine = plain();
  engine.max_batched_tokens = 10;
  Load two{.prompt = 10, .output = 4, .users = 2, .requests = 2, .prompts_first = true};
  const Service batch = serve(kSecond, engine, two, kEndless);
  EXPECT_DOUBLE_EQ(batch.ttft.count(), 1.5);
  EXPECT_DOUBLE_EQ(batch.tpot.count(), 7.0 / 6);
  EXPECT_DOUBLE_EQ(batch.duration.count(), 5);
  two.prompts_first = false;
  engine.fuses_prefill = false;  // the same order, as an engine's habit
  EXPECT_DOUBLE_EQ(serve(kSecond, engine, two, kEndless).tpot.count(), 7.0 / 6);
}

TEST(Serve, AFullCacheMakesRequestsWait) {
  // Room for one whole request: B starts when A is done, at 4, and has its first token at 5.
  const Load two{.prompt = 10, .output = 4, .users = 2, .requests = 2};
  const Service s = serve(kSecond, plain(), two, 20);
  EXPECT_DOUBLE_EQ(s.ttft.count(), (1 + 5) / 2.0);
  EXPECT_DOUBLE_EQ(s.duration.count(), 8);
  EXPECT_EQ(s.preempted, 0);
}

TEST(Serve, WithoutReservationsAFullCachePreempts) {
  // Both prompts fit (8 of 10 tokens), their answers do not: the younger gives way and is read
  // again.
  Engine engine = plain();
  engine.reserved_output = 0;
  const Load two{.prompt = 4, .output = 4, .users = 2, .requests = 2};
  const Service s = serve(kSecond, engine, two, 10);
  EXPECT_GT(s.preempted, 0);
  EXPECT_DOUBLE_EQ(s.tokens_per_second * s.duration.count(), 8);
  EXPECT_GT(s.duration, Seconds{4});
}

TEST(Serve, ARequestThatCannotFitIsRefused) {
  EXPECT_FALSE(serve(kSecond, plain(), {.prompt = 10, .output = 4}, 13).served);
  EXPECT_TRUE(serve(kSecond, plain(), {.prompt = 10, .output = 4}, 14).served);
}

TEST(Serve, SeatsLimitTheRequestsUnderWay) {
  Engine engine = plain();
  engine.max_sequences = 1;
  const Load two{.prompt = 10, .output = 4, .users = 2, .requests = 2};
  EXPECT_DOUBLE_EQ(serve(kSecond, engine, two, kEndless).duration.count(), 8);
}

TEST(Serve, TheFrontEndTakesRequestsOneByOne) {
  // 10 s each to receive: at 10 and 20; each is then read at once, in a second.
  Engine engine = plain();
  engine.receive = Seconds{10};
  const Load two{.prompt = 10, .output = 1, .users = 2, .requests = 2, .online = true};
  EXPECT_DOUBLE_EQ(serve(kSecond, engine, two, kEndless).ttft.count(), (11 + 21) / 2.0);
}

TEST(Serve, HandingOverTakesFromNothingToTwiceItsMean) {
  // 1 s on average, with steps of a microsecond: what users wait is the delay alone.
  const StepCost quick = [](const Step&) { return Seconds{1e-6}; };
  Engine engine = plain();
  engine.request = Seconds{1};
  const Load many{.prompt = 1, .output = 1, .users = 1, .requests = 200, .online = true};
  const Service s = serve(quick, engine, many, kEndless);
  EXPECT_NEAR(s.ttft.count(), 1, 0.01);
  EXPECT_NEAR(s.ttft_percentiles.p50.count(), 1, 0.02);
  EXPECT_NEAR(s.ttft_percentiles.p99.count(), 2, 0.03);
}

TEST(Serve, WhatIsSettledAheadMissesLaterRequests) {
  // A comes at 1.5 and decodes until 5.5, in steps that start at 1.5, 2.5, 3.5 and 4.5. B comes at
  // 3: the step at 3.5 takes it in, unless it was settled at 2.5; then the one at 4.5 does.
  Engine engine = plain();
  engine.receive = Seconds{1.5};
  const Load two{.prompt = 10, .output = 4, .users = 2, .requests = 2, .online = true};
  EXPECT_DOUBLE_EQ(serve(kSecond, engine, two, kEndless).ttft.count(), (2.5 + 4.5) / 2);
  engine.schedules_ahead = true;
  EXPECT_DOUBLE_EQ(serve(kSecond, engine, two, kEndless).ttft.count(), (2.5 + 5.5) / 2);
}

TEST(Serve, PercentilesAreOfRequests) {
  // Ten requests one after the other in one seat, a step each: they wait 1, 2, ..., 10 s.
  Engine engine = plain();
  engine.max_sequences = 1;
  const Load ten{.prompt = 10, .output = 1, .users = 10, .requests = 10};
  const Service s = serve(kSecond, engine, ten, kEndless);
  EXPECT_DOUBLE_EQ(s.ttft.count(), 5.5);
  EXPECT_DOUBLE_EQ(s.ttft_percentiles.p50.count(), 5);
  EXPECT_DOUBLE_EQ(s.ttft_percentiles.p99.count(), 10);
}

TEST(Serve, UsersSendTheNextRequestWhenTheirsIsAnswered) {
  // One user, three requests of two tokens, two steps each.
  const Load three{.prompt = 5, .output = 2, .users = 1, .requests = 3};
  const Service s = serve(kSecond, plain(), three, kEndless);
  EXPECT_DOUBLE_EQ(s.duration.count(), 6);
  EXPECT_DOUBLE_EQ(s.ttft.count(), 1);
}

TEST(Serve, StepsTakenTogetherCostWhatTheyCostOneByOne) {
  // A step's time grows linearly with the keys: 20 steps from 11 keys on take 20 * 11 + 190.
  const StepCost keys = [](const Step& step) { return Seconds{step.decoding * step.cached}; };
  const Service s = serve(keys, plain(), {.prompt = 10, .output = 21}, kEndless);
  EXPECT_NEAR(s.duration.count(), 20 * 11 + 190, 1e-9);
}

TEST(Serve, EveryTokenIsServed) {
  EXPECT_TRUE(rc::check([] {
    Engine engine = plain();
    engine.max_batched_tokens = *rc::gen::inRange(8, 200);
    engine.max_sequences = *rc::gen::inRange(1, 20);
    engine.reserved_output = *rc::gen::element(0.0, 0.5, 1.0);
    engine.fuses_prefill = *rc::gen::arbitrary<bool>();
    engine.chunked_prefill = *rc::gen::arbitrary<bool>();
    Load load{.prompt = *rc::gen::inRange(1, 100), .output = *rc::gen::inRange(1, 40)};
    load.users = *rc::gen::inRange(1, 30);
    load.requests = load.users * *rc::gen::inRange(1, 4);
    load.online = *rc::gen::arbitrary<bool>();
    engine.schedules_ahead = *rc::gen::arbitrary<bool>();
    const std::int64_t room = load.prompt + load.output + *rc::gen::inRange(0, 500);
    const Service s = serve(kSecond, engine, load, room);
    RC_ASSERT(s.served);
    const double tokens = static_cast<double>(load.requests) * load.output;
    RC_ASSERT(std::abs(s.tokens_per_second * s.duration.count() - tokens) < 1e-6 * tokens);
    RC_ASSERT(s.ttft >= Seconds{1});
    RC_ASSERT(s.ttft_percentiles.p50 <= s.ttft_percentiles.p99);
    RC_ASSERT(s.tpot_percentiles.p50 <= s.tpot_percentiles.p99);
    RC_ASSERT(load.output == 1 || s.tpot >= Seconds{1});
    RC_ASSERT(s.duration >= Seconds{1.0 * load.output});
    RC_ASSERT(s.preempted == 0 || engine.reserved_output < 1);
  }));
}

TEST(OfflineRequests, FewerOfLongOnes) {
  // TensorRT-LLM's table: 128/128, 1000/1000, 2048/2048, 20000/2000.
  EXPECT_EQ(offline_requests(256), 30000);
  EXPECT_EQ(offline_requests(2000), 3000);
  EXPECT_EQ(offline_requests(4096), 1500);
  EXPECT_EQ(offline_requests(22000), 1000);
}

}  // namespace
}  // namespace meshplan::planner
