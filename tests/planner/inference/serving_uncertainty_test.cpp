#include "planner/inference/serving_uncertainty.h"

#include <gtest/gtest.h>

#include "tests/planner/inference/serving_problem.h"

namespace meshplan::planner {
namespace {

using profiles::DataType;

InferencePrediction of_users(int users, const char* engine, const char* model = "llama-3.1-8b") {
  const Problem problem = test::serving_problem(model, "dgx-h100:1/4", DataType::Bf16, 500, 100);
  return test::served(problem, engine, "tp2,pp1,dp2", {Demand::Kind::Users, users, 0.1});
}
double width(const Range& range) { return range.high / range.low; }

TEST(ServingIntervals, LieAroundThePrediction) {
  const InferencePrediction p = of_users(16, "vllm");
  const auto& [ttft, tpot, tokens] = p.intervals;
  EXPECT_TRUE(ttft.holds(p.service.ttft.count()));
  EXPECT_TRUE(tpot.holds(p.service.tpot.count()));
  EXPECT_TRUE(tokens.holds(p.tokens_per_second));
  // Symmetric as ratios: the prediction is their geometric mean.
  EXPECT_NEAR(tokens.low * tokens.high, p.tokens_per_second * p.tokens_per_second,
              1e-9 * tokens.high * tokens.high);
  EXPECT_GT(width(tpot), 1.1);
}

TEST(ServingIntervals, WaitingMakesTheFirstTokenLessCertain) {
  // 512 users of two replicas wait longer than 2, who never meet.
  EXPECT_GT(width(of_users(512, "vllm").intervals.ttft_seconds),
            width(of_users(2, "vllm").intervals.ttft_seconds));
  const InferencePrediction p = of_users(64, "vllm");
  EXPECT_GT(width(p.intervals.ttft_seconds), width(p.intervals.tpot_seconds));
}

TEST(ServingIntervals, WhatIsLessKnownIsWider) {
  EXPECT_GT(width(of_users(16, "no-such-engine").intervals.tpot_seconds),
            width(of_users(16, "generic").intervals.tpot_seconds));
  EXPECT_GT(width(of_users(16, "vllm", "qwen3-30b-a3b").intervals.tpot_seconds),
            width(of_users(16, "vllm").intervals.tpot_seconds));
}

}  // namespace
}  // namespace meshplan::planner
