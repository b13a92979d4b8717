// Published results that a prediction must reproduce in rank, and roughly in size.
#include <gtest/gtest.h>

#include <functional>

#include "planner/evaluate/statistics.h"
#include "profiles/cluster_json.h"
#include "tests/planner/inference/serving_problem.h"

namespace meshplan::planner {
namespace {

using profiles::DataType;

struct Published {
  const char* layout;
  double value;
};

/// Predictions beside what was published: the same order, and within a factor of each figure.
void expect_rank(const std::vector<Published>& table, double factor,
                 const std::function<double(const char*)>& prediction) {
  std::vector<double> measured;
  std::vector<double> predicted;
  for (const Published& row : table) {
    measured.push_back(row.value);
    predicted.push_back(prediction(row.layout));
    EXPECT_LT(predicted.back(), factor * row.value) << row.layout;
    EXPECT_GT(predicted.back(), row.value / factor) << row.layout;
  }
  EXPECT_DOUBLE_EQ(*rank_correlation(predicted, measured), 1);
}

/// Output tokens per second of an offline run of 1000 / 1000 tokens.
void expect_throughput(const Problem& problem, const char* engine, double factor,
                       const std::vector<Published>& table) {
  expect_rank(table, factor, [&](const char* layout) {
    return test::served(problem, engine, layout, {}).tokens_per_second;
  });
}

/// Milliseconds per output token with 16 users. Prompts and answers of InferenceMAX are 1024 tokens
/// at most and 80 % of that at least.
void expect_tpot_of_16_users(const char* cluster, double factor,
                             const std::vector<Published>& table) {
  const Problem problem = test::serving_problem("llama-3.1-70b", cluster, DataType::Fp8, 922, 922);
  const Demand users{.kind = Demand::Kind::Users, .count = 16, .spread = 1.0 / 9};
  expect_rank(table, factor, [&](const char* layout) {
    return 1e3 * test::served(problem, "vllm", layout, users).service.tpot.count();
  });
}

Problem offline(const char* cluster, DataType type) {
  return test::serving_problem("llama-3.1-70b", cluster, type, 1000, 1000);
}

// TensorRT-LLM performance overview, 0.17, Llama-3.1-70B.
TEST(PublishedRanks, OfflineA100OverNvlink) {
  expect_throughput(offline("dgx-a100-80gb:1", DataType::Fp16), "tensorrt-llm-cpp", 1.3,
                    {{"tp2,pp1,dp1", 469}, {"tp4,pp1,dp1", 1763}, {"tp8,pp1,dp1", 3190}});
}

// The same, 0.14: over PCIe eight ranks serve less than four. All-reduces across the sockets eat
// more than twice the devices bring. Two ranks are the cliff of the cache, where a GB more or less
// counts.
TEST(PublishedRanks, OfflineA100OverPcie) {
  const auto clusters = profiles::read_cluster_table(
      profiles::JsonNode::parse(
          R"({"a100-pcie": {"device": "a100-pcie-80gb", "devices_per_node": 8,
              "intra_node": {"kind": "pcie", "bytes_per_second_per_device": 32e9}}})",
          "test"),
      {});
  Problem problem = offline("dgx-a100-80gb:1", DataType::Fp16);
  problem.cluster = profiles::load_cluster("a100-pcie:1", {}, clusters);
  problem.profile = profiles::load_profile(problem.cluster.device, {});
  expect_throughput(problem, "tensorrt-llm-cpp", 1.6,
                    {{"tp2,pp1,dp1", 258}, {"tp4,pp1,dp1", 989}, {"tp8,pp1,dp1", 960}});
}

// The same, 0.17. One H100 holds the weights and little besides: a tenth of what two serve.
TEST(PublishedRanks, OfflineH100WhereWeightsLeaveLittleCache) {
  expect_throughput(
      offline("dgx-h100:1", DataType::Fp8), "tensorrt-llm-cpp", 1.7,
      {{"tp1,pp1,dp1", 410}, {"tp2,pp1,dp1", 4116}, {"tp4,pp1,dp1", 6933}, {"tp8,pp1,dp1", 10730}});
}

// The same, 1.0: stages need no NVLink.
TEST(PublishedRanks, OfflineStagesOverPcie) {
  expect_throughput(
      offline("rtx-pro-6000-pcie:1", DataType::Fp4), "tensorrt-llm", 1.5,
      {{"tp1,pp1,dp1", 1787}, {"tp1,pp2,dp1", 3707}, {"tp1,pp4,dp1", 5961}, {"tp1,pp8,dp1", 8166}});
}

// InferenceMAX, Llama-3.1-70B fp8 on vLLM, 1024/1024.
TEST(PublishedRanks, SixteenUsersOnH100) {
  expect_tpot_of_16_users("dgx-h100:1", 1.25,
                          {{"tp2,pp1,dp1", 19.7}, {"tp4,pp1,dp1", 13.2}, {"tp8,pp1,dp1", 11.4}});
}

TEST(PublishedRanks, SixteenUsersOnH200) {
  expect_tpot_of_16_users(
      "dgx-h200:1", 1.25,
      {{"tp1,pp1,dp1", 24.7}, {"tp2,pp1,dp1", 15.7}, {"tp4,pp1,dp1", 10.9}, {"tp8,pp1,dp1", 9.7}});
}

}  // namespace
}  // namespace meshplan::planner
