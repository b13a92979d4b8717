#include "planner/inference/search_inference.h"

#include <gtest/gtest.h>

#include "tests/planner/inference/serving_problem.h"

namespace meshplan::planner {
namespace {

using profiles::DataType;
using profiles::Seconds;

TEST(SearchInference, WalksTheWholeSpace) {
  // Four devices: tp x pp x dp = 4 in 1 + 1 + ... : (1,1,4) (1,2,2) (1,4,1) (2,1,2) (2,2,1)
  // (4,1,1).
  const Problem problem =
      test::serving_problem("llama-3.1-8b", "dgx-h100:1/4", DataType::Fp8, 200, 50);
  const ServingPlans found =
      search_inference(problem, test::engine("vllm"), {.demand = Demand{Demand::Kind::Users, 8}});
  EXPECT_EQ(found.candidates, 6);
  EXPECT_EQ(found.predictions, 6);
  ASSERT_EQ(found.plans.size(), 6U);
  for (std::size_t i = 1; i < found.plans.size(); ++i) {
    EXPECT_GE(found.plans[i - 1].prediction.tokens_per_second,
              found.plans[i].prediction.tokens_per_second);
  }
}

TEST(SearchInference, LatencyPrefersTensorParallelism) {
  const Problem problem =
      test::serving_problem("llama-3.1-70b", "dgx-h100:1", DataType::Fp8, 1000, 100);
  const ServingPlans found = search_inference(
      problem, test::engine("tensorrt-llm"),
      {.objective = ServingObjective::Latency, .demand = Demand{Demand::Kind::Users, 1}});
  ASSERT_FALSE(found.plans.empty());
  EXPECT_EQ(found.plans[0].layout.tp, 8);
}

TEST(SearchInference, LimitsRejectWhatIsTooSlow) {
  const Problem problem =
      test::serving_problem("llama-3.1-8b", "dgx-h100:1/2", DataType::Bf16, 500, 100);
  const ServingPlans found =
      search_inference(problem, test::engine("vllm"), {.max_tpot = ServingLimit{Seconds{0.012}}});
  ASSERT_FALSE(found.plans.empty());
  for (const ServingPlan& plan : found.plans) {
    EXPECT_LE(plan.prediction.service.tpot, Seconds{0.012});
  }
  const ServingPlans none =
      search_inference(problem, test::engine("vllm"), {.max_tpot = ServingLimit{Seconds{1e-5}}});
  EXPECT_TRUE(none.plans.empty());
  EXPECT_EQ(none.rejected.at("too_slow"), 3);
}

TEST(SearchInference, LimitsMayBeOfPercentiles) {
  const Problem problem =
      test::serving_problem("llama-3.1-8b", "dgx-h100:1/2", DataType::Bf16, 500, 100);
  const auto users_under = [&](ServingLimit::Of of) {
    const ServingPlans found = search_inference(problem, test::engine("vllm"),
                                                {.max_ttft = ServingLimit{Seconds{0.2}, of}});
    for (const ServingPlan& plan : found.plans) {
      const Service& s = plan.prediction.service;
      const Seconds seen = of == ServingLimit::Of::Mean  ? s.ttft
                           : of == ServingLimit::Of::P50 ? s.ttft_percentiles.p50
                                                         : s.ttft_percentiles.p99;
      EXPECT_LE(seen, Seconds{0.2});
    }
    return found.plans.empty() ? 0 : found.plans[0].demand.count;
  };
  // The tail is longer than the middle: fewer users keep it short.
  EXPECT_LT(users_under(ServingLimit::Of::P99), users_under(ServingLimit::Of::P50));
}

TEST(SearchInference, WhatTheEngineCannotRunIsCountedByItsRule) {
  const Problem problem =
      test::serving_problem("llama-3.1-8b", "dgx-h100:1/4", DataType::Bf16, 200, 50);
  ServingSearch search{.demand = Demand{Demand::Kind::Users, 8}};
  search.refusing_rule = [](const Layout& layout) -> std::optional<std::string> {
    if (layout.pp > 1) return "engine.pipeline";
    return std::nullopt;
  };
  const ServingPlans found = search_inference(problem, test::engine("vllm"), search);
  EXPECT_EQ(found.plans.size(), 3U);  // tp1,dp4 tp2,dp2 tp4
  EXPECT_EQ(found.rejected.at("engine.pipeline"), 3);
}

TEST(SearchInference, NothingOnTheFrontierIsBeaten) {
  const Problem problem =
      test::serving_problem("llama-3.1-8b", "dgx-h100:1/2", DataType::Bf16, 500, 100);
  const ServingPlans found = search_inference(problem, test::engine("vllm"), {});
  ASSERT_GT(found.frontier.size(), 2U);
  for (std::size_t i = 1; i < found.frontier.size(); ++i) {
    const auto& faster = found.frontier[i - 1].prediction;
    const auto& fuller = found.frontier[i].prediction;
    EXPECT_LE(fuller.tokens_per_second_per_user, faster.tokens_per_second_per_user);
    EXPECT_GT(fuller.tokens_per_second_per_device, faster.tokens_per_second_per_device);
  }
}

TEST(SearchInference, WhatCannotFitIsCounted) {
  // 141 GB of weights on one H100.
  const Problem problem =
      test::serving_problem("llama-3.1-70b", "dgx-h100:1/1", DataType::Bf16, 500, 100);
  const ServingPlans found = search_inference(problem, test::engine("vllm"), {});
  EXPECT_TRUE(found.plans.empty());
  EXPECT_EQ(found.rejected.at("out_of_memory"), 1);
}

}  // namespace
}  // namespace meshplan::planner
