#include "planner/evaluate/evaluate_inference.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "planner/evaluate/split.h"
#include "planner/inference/step_time.h"
#include "planner/layout/layout_text.h"
#include "planner/model/config.h"
#include "profiles/cluster_load.h"

namespace meshplan::planner {
namespace {

/// A run of Llama-3.1-8B on two H100 by 8 users, as predicted, TPOT times `factor`.
RecordedRun run_of(const char* layout, double factor) {
  const profiles::DataFiles files;
  RecordedRun run;
  run.id = layout;
  run.model_name = "llama-3.1-8b";
  run.cluster_name = "dgx-h100:1/2";
  Problem& p = run.problem;
  p.model = load_model(run.model_name, files);
  p.cluster = profiles::load_cluster(run.cluster_name, files);
  p.profile = profiles::load_profile(p.cluster.device, files);
  p.workload.kind = Workload::Kind::Inference;
  p.workload.prompt = 500;
  p.workload.output = 100;
  p.workload.concurrency = 8;
  run.engine = profiles::load_engine("vllm", files);
  run.layout = layout_from_text(layout);
  StepPrices prices(p, run.engine, *run.layout);
  const InferencePrediction now =
      predict_inference(prices, p, run.engine, *run.layout, demand_of(p.workload));
  run.ttft_seconds = now.service.ttft.count();
  run.tpot_seconds = factor * now.service.tpot.count();
  return run;
}

TEST(EvaluateInference, ErrorsAreRelativeToTheMeasurement) {
  // Measured twice as slow as predicted: -50 %; the other as predicted. Two ranks decode faster
  // than one, and in the measurement too.
  const RecordedRun one = run_of("tp1,pp1,dp1", 2);
  const RecordedRun two = run_of("tp2,pp1,dp1", 1);
  const ServingReport report = evaluate_inference({&one, &two});
  EXPECT_EQ(report.tpot.error.predicted, 2);
  EXPECT_NEAR(report.tpot.error.mape, 0.25, 1e-9);
  EXPECT_NEAR(report.tpot.error.bias, -0.25, 1e-9);
  EXPECT_NEAR(report.ttft.error.mape, 0, 1e-9);
  EXPECT_EQ(report.throughput.error.runs, 0);
  ASSERT_EQ(report.groups.size(), 1U);
  EXPECT_DOUBLE_EQ(*report.groups[0].tpot_rank, 1);
  EXPECT_EQ(report.tpot.ranked_groups, 1);
  // Twice as slow is outside of the interval, as predicted is inside.
  EXPECT_DOUBLE_EQ(report.tpot.coverage, 0.5);
  EXPECT_DOUBLE_EQ(report.ttft.coverage, 1);
  EXPECT_GT(report.tpot.interval_width_mean, 0.1);
  EXPECT_LT(report.tpot.interval_width_mean, 1);
}

TEST(EvaluateInference, WhatCannotBePredictedIsCountedWithItsReason) {
  RecordedRun refused = run_of("tp1,pp1,dp1", 1);
  refused.refusal = "model: expected ...";
  RecordedRun illegal = run_of("tp1,pp1,dp1", 1);
  illegal.layout = layout_from_text("tp4,pp1,dp1");  // two devices
  RecordedRun full = run_of("tp1,pp1,dp1", 1);
  full.problem.cluster.device.memory = {16'000'000'000};  // as large as the weights
  const ServingReport report = evaluate_inference({&refused, &illegal, &full});
  EXPECT_EQ(report.tpot.error.runs, 3);
  EXPECT_EQ(report.tpot.error.predicted, 0);
  EXPECT_EQ(report.unpredictable.size(), 3U);
  EXPECT_EQ(report.unpredictable.at("illegal layout: devices"), 1);
}

/// Held to the recorded serving results where they are: constants were fitted on the other half.
TEST(EvaluateInference, HeldOutResultsAreMet) {
  const char* folder = std::getenv("MESHPLAN_DATA");
  if (folder == nullptr) GTEST_SKIP() << "MESHPLAN_DATA names no folder of recorded runs";
  const std::filesystem::path file = std::filesystem::path(folder) / "runs_inference.json";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is not there";
  const std::vector<RecordedRun> runs = read_runs(profiles::JsonNode::read_file(file.string()), {});
  std::vector<const RecordedRun*> held;
  for (const RecordedRun& run : runs) {
    if (!is_fitted(run.source, run.model_name)) held.push_back(&run);
  }
  const ServingReport report = evaluate_inference(held);
  EXPECT_LT(report.tpot.error.median, 0.12);
  EXPECT_LT(report.throughput.error.median, 0.15);
  EXPECT_LT(report.ttft.error.median, 0.30);
  EXPECT_GT(report.tpot.rank_correlation, 0.85);
  EXPECT_GT(report.throughput.rank_correlation, 0.8);
  EXPECT_TRUE(report.unpredictable.empty());
}

}  // namespace
}  // namespace meshplan::planner
