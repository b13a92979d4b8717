#include "planner/inference/step_time.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "tests/planner/inference/serving_problem.h"

namespace meshplan::planner {
namespace {

using profiles::DataType;
using profiles::Seconds;

/// Prices of one layout with everything they refer to.
struct Priced {
  Priced(const char* model, const char* cluster, DataType type, const char* layout,
         const char* engine_name = "tensorrt-llm")
      : problem(test::serving_problem(model, cluster, type, 1000, 1000)),
        engine(test::engine(engine_name)),
        prices(problem, engine, layout_from_text(layout)) {}
  Seconds decode(double requests, double keys) {
    return prices.time({.decoding = requests, .cached = keys}).sum();
  }
  Problem problem;
  profiles::Engine engine;
  StepPrices prices;
};

TEST(StepTime, DecodingOneRequestReadsAllWeights) {
  // 141.1 GB less the embedding, of which one row is read (2.1 GB), at 4.8 TB/s: 29.0 ms is the
  // floor; bandwidth is never reached whole.
  Priced h200("llama-3.1-70b", "dgx-h200:1", DataType::Bf16, "tp1,pp1,dp1");
  EXPECT_GT(h200.decode(1, 1000), Seconds{0.0290});
  EXPECT_LT(h200.decode(1, 1000), Seconds{0.0290 * 1.5});
}

TEST(StepTime, PartsAddUp) {
  Priced h100("llama-3.1-8b", "dgx-h100:1", DataType::Fp8, "tp2,pp2,dp1");
  const StepTime t = h100.prices.time(
      {.decoding = 7, .cached = 900, .prompt_tokens = 1000, .prompt_pairs = 500'500, .prompts = 1});
  for (const Seconds part : {t.matrices, t.attention, t.communication, t.pipeline, t.host}) {
    EXPECT_GE(part, Seconds{-1e-12});
  }
  EXPECT_GT(t.attention, Seconds{0});
  EXPECT_GT(t.communication, Seconds{0});
}

TEST(StepTime, TokensAreHandedAroundTheStages) {
  // 40 requests over four stages, three hand-overs each of 6 us: 0.72 ms beside what a step has
  // anyway.
  Priced pp4("llama-3.1-8b", "dgx-h100:1", DataType::Fp8, "tp1,pp4,dp1");
  const double host = pp4.prices.time({.decoding = 40, .cached = 1000}).host.count();
  EXPECT_NEAR(host - pp4.engine.step.count(), 40 * 3 * pp4.engine.pipeline_request.count(), 1e-9);
  EXPECT_DOUBLE_EQ(pp4.engine.pipeline_request.count(), 6e-6);
}

TEST(StepTime, WindowsCutThePairsOfAPrompt) {
  // 32,768 tokens, each of which sees the 4,096 before it: 1.26e8 pairs instead of 5.37e8, in
  // whole tiles a quarter.
  const auto prompt_attention = [](std::optional<int> window) {
    Problem problem =
        test::serving_problem("llama-3.1-8b", "dgx-h100:1", DataType::Bf16, 32768, 100);
    problem.model.sliding_window = window;
    const profiles::Engine engine = test::engine("tensorrt-llm");
    StepPrices prices(problem, engine, layout_from_text("tp1,pp1,dp1"));
    return prices.time({.prompt_tokens = 32768, .prompt_pairs = 32768.0 * 32769 / 2, .prompts = 1})
        .attention.count();
  };
  const double all = prompt_attention(std::nullopt);
  EXPECT_GT(prompt_attention(4096), 0.2 * all);
  EXPECT_LT(prompt_attention(4096), 0.4 * all);
  EXPECT_DOUBLE_EQ(prompt_attention(65536), all);
}

TEST(StepTime, TheCacheIsReadOnceForEachRequest) {
  // 64 requests of 8192 keys: 64 * 8192 * 131,072 B = 68.7 GB at 3.35 TB/s: 20.5 ms at least.
  Priced h100("llama-3.1-8b", "dgx-h100:1", DataType::Bf16, "tp1,pp1,dp1");
  const StepTime t = h100.prices.time({.decoding = 64, .cached = 8192});
  EXPECT_GT(t.attention, Seconds{0.0205});
  EXPECT_LT(t.attention, Seconds{0.0205 * 1.6});
}

TEST(StepTime, NarrowWeightsDecodeFaster) {
  const char* layout = "tp1,pp1,dp1";
  Priced wide("llama-3.1-8b", "dgx-b200:1", DataType::Bf16, layout);
  Priced fp8("llama-3.1-8b", "dgx-b200:1", DataType::Fp8, layout);
  Priced fp4("llama-3.1-8b", "dgx-b200:1", DataType::Fp4, layout);
  EXPECT_LT(fp8.decode(8, 1000), wide.decode(8, 1000));
  EXPECT_LT(fp4.decode(8, 1000), fp8.decode(8, 1000));
}

TEST(StepTime, AFewTokensReadFewExperts) {
  // Eight of 128 experts for one token, all but a few for 64: the matrices of one token must cost
  // far less than those of 64, which read nearly all weights.
  Priced moe("qwen3-30b-a3b", "dgx-h100:1", DataType::Bf16, "tp1,pp1,dp1", "vllm");
  const Seconds one = moe.prices.time({.decoding = 1, .cached = 100}).matrices;
  const Seconds many = moe.prices.time({.decoding = 64, .cached = 100}).matrices;
  EXPECT_LT(one, 0.5 * many);
}

TEST(StepTime, StagesDoNotHastenASingleRequest) {
  // It passes all weights one stage after the other, and the transfers besides.
  Priced whole("llama-3.1-8b", "dgx-h100:1", DataType::Bf16, "tp1,pp1,dp1");
  Priced staged("llama-3.1-8b", "dgx-h100:1", DataType::Bf16, "tp1,pp4,dp1");
  EXPECT_GT(staged.decode(1, 1000), whole.decode(1, 1000));
}

TEST(StepTime, AnIdlePipelineFillsBeforeItsFirstStepEnds) {
  // A step of four micro-batches lasts four times the slowest stage, but the last of them leaves
  // the fourth stage only three stages after it entered the first: 3 of 4 parts of the way, of
  // stages that are not quite alike.
  Priced four("llama-3.1-8b", "dgx-h100:1", DataType::Bf16, "tp1,pp4,dp1");
  const StepTime t =
      four.prices.time({.prompt_tokens = 4000, .prompt_pairs = 4 * 500'500, .prompts = 4});
  const Seconds through = t.matrices + t.attention + t.communication;
  EXPECT_GT(t.fill, 0.65 * through);
  EXPECT_LT(t.fill, 0.80 * through);
  // One token is one micro-batch, and one stage has nothing to fill.
  EXPECT_EQ(four.prices.time({.decoding = 1, .cached = 1000}).fill, Seconds{0});
  Priced one("llama-3.1-8b", "dgx-h100:1", DataType::Bf16, "tp1,pp1,dp1");
  EXPECT_NEAR(one.prices.time({.decoding = 9, .cached = 1000}).fill.count(), 0, 1e-15);
}

TEST(StepTime, MoreWorkNeverTakesLess) {
  Priced h100("llama-3.1-8b", "dgx-h100:1", DataType::Bf16, "tp2,pp1,dp1", "vllm");
  EXPECT_TRUE(rc::check([&] {
    const auto requests = static_cast<double>(*rc::gen::inRange(1, 500));
    const auto keys = static_cast<double>(*rc::gen::inRange(1, 20'000));
    RC_ASSERT(h100.decode(requests, 2 * keys) >= 0.98 * h100.decode(requests, keys));
    // Kernels for more rows may be better ones: a few percent.
    RC_ASSERT(h100.decode(2 * requests, keys) >= 0.9 * h100.decode(requests, keys));
  }));
}

TEST(StepTime, LaunchesShowOnlyBeyondTheDevice) {
  // 32 layers launched at 1 ms each bound the step from below, and a device of some 6 ms adds to
  // that less than its own time; launched at 1 us each nothing shows.
  Priced priced("llama-3.1-8b", "dgx-h100:1", DataType::Bf16, "tp1,pp1,dp1");
  const Seconds device = priced.decode(1, 100) - priced.engine.step;
  priced.engine.layer = Seconds{1e-3};
  const Seconds bound = priced.decode(1, 100) - priced.engine.step;
  EXPECT_GE(bound, Seconds{0.032});
  EXPECT_LT(bound, Seconds{0.032} + device);
  priced.engine.layer = Seconds{1e-6};
  EXPECT_NEAR((priced.decode(1, 100) - priced.engine.step) / device, 1, 1e-6);
}

TEST(CacheType, FollowsTheEnginesHabit) {
  profiles::Engine engine;
  engine.cache_follows_weights = true;
  EXPECT_EQ(cache_type(engine, DataType::Fp4), DataType::Fp8);
  EXPECT_EQ(cache_type(engine, DataType::Fp16), DataType::Fp16);
  engine.cache_follows_weights = false;
  EXPECT_EQ(cache_type(engine, DataType::Fp8), DataType::Bf16);
}

}  // namespace
}  // namespace meshplan::planner
