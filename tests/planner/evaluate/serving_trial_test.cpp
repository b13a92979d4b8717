#include "planner/evaluate/serving_trial.h"

#include <gtest/gtest.h>

namespace meshplan::planner {
namespace {

RecordedRun run_of(const char* source, const char* engine, const char* version, int prompt,
                   int output) {
  RecordedRun run;
  run.source = source;
  run.engine = profiles::load_engine(engine, {});
  run.engine_version = version;
  run.problem.workload = {.kind = Workload::Kind::Inference};
  run.problem.workload.prompt = prompt;
  run.problem.workload.output = output;
  run.problem.workload.concurrency = 16;
  return run;
}

constexpr const char* kCollected = "AIConfigurator silicon_sample.csv";

TEST(ServingTrial, InferenceMaxDrawsItsLengths) {
  // 80 to 100 % of 1024 and 8192: 921 and 7372 on average, a ninth of that to either side.
  const ServingTrial trial = serving_trial(run_of(kCollected, "vllm", "unstated", 1024, 8192));
  EXPECT_EQ(trial.problem.workload.prompt, 921);
  EXPECT_EQ(trial.problem.workload.output, 7372);
  EXPECT_DOUBLE_EQ(trial.demand.spread, 1.0 / 9);
  EXPECT_TRUE(trial.engine.schedules_ahead);
  EXPECT_EQ(trial.engine.max_batched_tokens, 8192);
}

TEST(ServingTrial, AiconfiguratorGivesAStepRoomForOnePrompt) {
  const ServingTrial trial =
      serving_trial(run_of(kCollected, "tensorrt-llm", "1.0.0rc3", 1024, 1024));
  EXPECT_EQ(trial.problem.workload.prompt, 1024);
  EXPECT_DOUBLE_EQ(trial.demand.spread, 0);
  EXPECT_EQ(trial.engine.max_batched_tokens, 1024 + 1500 + 16);
}

TEST(ServingTrial, SglangMixesPromptsWithDecodingWhereItsFlagWasRight) {
  EXPECT_FALSE(
      serving_trial(run_of(kCollected, "sglang", "0.5.1.post1", 2048, 128)).engine.fuses_prefill);
  EXPECT_TRUE(
      serving_trial(run_of(kCollected, "sglang", "0.5.6.post2", 2048, 128)).engine.fuses_prefill);
}

TEST(ServingTrial, OtherSourcesSendWhatTheyState) {
  const RecordedRun run = run_of("somebody", "vllm", "0.12.0", 2000, 500);
  const ServingTrial trial = serving_trial(run);
  EXPECT_EQ(trial.problem.workload.prompt, 2000);
  EXPECT_DOUBLE_EQ(trial.demand.spread, 0);
  EXPECT_EQ(trial.engine.max_batched_tokens, run.engine.max_batched_tokens);
  RecordedRun offline = run_of(kCollected, "vllm", "unstated", 1024, 1024);
  offline.problem.workload.concurrency.reset();
  EXPECT_EQ(serving_trial(offline).problem.workload.prompt, 1024);
}

}  // namespace
}  // namespace meshplan::planner
