#include "planner/inference/cache_room.h"

#include <gtest/gtest.h>

#include "tests/planner/inference/serving_problem.h"

namespace meshplan::planner {
namespace {

using profiles::DataType;

std::vector<ServingMemory> memory_of(const char* model, const char* cluster, DataType type,
                                     const char* layout, const profiles::Engine& engine) {
  const Problem problem = test::serving_problem(model, cluster, type, 1000, 1000);
  return serving_memory(problem, engine, layout_from_text(layout));
}

TEST(ServingMemory, KeysAndValuesOfGroupedQueries) {
  // Llama-3.1-70B: 80 layers x 2 x 8 heads x 128, 2 bytes = 327,680 a token; one head a rank at
  // tp8, and still one at tp16, where ranks hold copies; one byte under fp8.
  const profiles::Engine engine = test::engine("vllm");
  const auto at = [&](const char* cluster, DataType type, const char* layout) {
    return memory_of("llama-3.1-70b", cluster, type, layout, engine)[0].cache_per_token.count;
  };
  EXPECT_EQ(at("dgx-h200:1", DataType::Bf16, "tp1,pp1,dp1"), 327'680);
  EXPECT_EQ(at("dgx-h200:1", DataType::Bf16, "tp8,pp1,dp1"), 40'960);
  EXPECT_EQ(at("dgx-h200:2", DataType::Bf16, "tp16,pp1,dp1"), 40'960);
  EXPECT_EQ(at("dgx-h200:1", DataType::Fp8, "tp1,pp1,dp1"), 163'840);
  EXPECT_EQ(at("dgx-h200:1", DataType::Bf16, "tp1,pp2,dp1"), 163'840);
}

TEST(ServingMemory, LatentAttentionKeepsOneLatentWhateverTheRanks) {
  // DeepSeek-V3: 61 layers x (512 + 64), one byte under fp8.
  const profiles::Engine engine = test::engine("vllm");
  for (const char* layout : {"tp1,pp1,dp1", "tp8,pp1,dp1"}) {
    EXPECT_EQ(memory_of("deepseek-v3", "dgx-h200:1", DataType::Fp8, layout, engine)[0]
                  .cache_per_token.count,
              61 * 576);
  }
}

TEST(ServingMemory, WeightsInTheirFormats) {
  // 70.55e9 parameters, of which embedding and head, 2 x 128256 x 8192 = 2.10e9, stay at 16 bits:
  // 141.1 GB in bf16; 68.45 + 4.20 = 72.7 GB in fp8; 68.45 x 4.5 / 8 + 4.20 = 42.7 GB in nvfp4.
  const profiles::Engine engine = test::engine("vllm");
  const auto gigabytes = [&](DataType type) {
    return static_cast<double>(
               memory_of("llama-3.1-70b", "dgx-b200:1", type, "tp1,pp1,dp1", engine)[0]
                   .weights.count) /
           1e9;
  };
  EXPECT_NEAR(gigabytes(DataType::Bf16), 141.1, 0.1);
  EXPECT_NEAR(gigabytes(DataType::Fp8), 72.7, 0.1);
  EXPECT_NEAR(gigabytes(DataType::Fp4), 42.7, 0.1);
}

TEST(ServingMemory, SinglePrecisionIsTwiceAsWideThroughout) {
  const profiles::Engine engine = test::engine("embedded");
  const auto of = [&](DataType type) {
    return memory_of("llama-3.1-8b", "localhost", type, "tp1,pp2,dp1", engine)[0];
  };
  const ServingMemory half = of(DataType::Bf16), single = of(DataType::Fp32);
  EXPECT_EQ(single.weights.count, 2 * half.weights.count);
  EXPECT_EQ(single.cache_per_token.count, 2 * half.cache_per_token.count);
  EXPECT_EQ(single.step.count, 2 * half.step.count);  // the first stage has no logits
}

TEST(ServingMemory, EnginesTakeTheirPartOfTheDevice) {
  // A device of 100 GB; weights W, a step S, a context of 1 GB.
  Problem problem =
      test::serving_problem("llama-3.1-8b", "dgx-h100:1/1", DataType::Bf16, 1000, 1000);
  problem.cluster.device.memory = {100'000'000'000};
  profiles::Engine engine = test::engine("vllm");
  engine.context = {1'000'000'000};
  engine.cache_fraction = 0.9;
  const Layout layout = layout_from_text("tp1,pp1,dp1");
  const auto cache = [&](profiles::CacheRule rule) {
    engine.cache_rule = rule;
    const ServingMemory m = serving_memory(problem, engine, layout)[0];
    return std::pair{m.cache.count, m};
  };
  const auto [of_total, m] = cache(profiles::CacheRule::OfTotal);
  const std::int64_t w = m.weights.count;
  const std::int64_t s = m.step.count;
  EXPECT_EQ(of_total, 90'000'000'000 - w - s - 1'000'000'000);
  EXPECT_NEAR(static_cast<double>(cache(profiles::CacheRule::OfFree).first),
              0.9 * static_cast<double>(99'000'000'000 - w - s), 1);
  EXPECT_EQ(cache(profiles::CacheRule::Static).first, 89'100'000'000 - w);
}

TEST(CacheRoom, WeightsThatLeaveLittleAreACliff) {
  // 72.7 GB of fp8 weights on one H100 of 85 GB leave room for a few tens of thousand tokens; on
  // two, more than ten times as many.
  const profiles::Engine engine = test::engine("tensorrt-llm");
  const Problem problem =
      test::serving_problem("llama-3.1-70b", "dgx-h100:1", DataType::Fp8, 1000, 1000);
  const auto room = [&](const char* text) {
    const Layout layout = layout_from_text(text);
    return cache_room(serving_memory(problem, engine, layout), problem, engine, layout).tokens;
  };
  EXPECT_LT(room("tp1,pp1,dp1"), 70'000);
  EXPECT_GT(room("tp2,pp1,dp1"), 10 * room("tp1,pp1,dp1"));
}

TEST(CacheRoom, NothingIsLeftWhereWeightsDoNotFit) {
  const profiles::Engine engine = test::engine("vllm");
  const Problem problem =
      test::serving_problem("llama-3.1-70b", "dgx-h100:1", DataType::Bf16, 1000, 1000);
  const Layout layout = layout_from_text("tp1,pp1,dp1");
  EXPECT_EQ(cache_room(serving_memory(problem, engine, layout), problem, engine, layout).tokens, 0);
  EXPECT_FALSE(test::served(problem, "vllm", "tp1,pp1,dp1", {}).fits);
}

}  // namespace
}  // namespace meshplan::planner
