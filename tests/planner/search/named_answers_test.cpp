// Answers that a capacity planner would insist on. None of them is a rule inside the search.
#include <gtest/gtest.h>

#include "planner/layout/layout_text.h"
#include "planner/predict.h"
#include "planner/search/search.h"
#include "tests/support/problems.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;
using test::training_problem;

Plan best_of(const Problem& problem) {
  SearchOptions options;
  options.top = 1;
  const PlanResult found = search(problem, options);
  EXPECT_FALSE(found.plans.empty());
  return found.plans.empty() ? Plan{} : found.plans.front();
}

Seconds step_of(const Problem& problem, const char* layout) {
  PriceBook book(problem);
  return predict(book, layout_from_text(layout)).prediction.step;
}

TEST(NamedAnswers, TensorParallelismStaysInsideTheNode) {
  struct Case {
    const char* model;
    int nodes;
  };
  // Each fits inside the node; at least 8 sequences a node.
  for (const Case& c : {Case{"llama-3-8b", 4}, Case{"llama-3-8b", 16}, Case{"llama-3-70b", 16},
                        Case{"llama-2-70b", 32}, Case{"gpt3-175b", 32}}) {
    const std::string cluster = "dgx-h100:" + std::to_string(c.nodes);
    const Problem problem = training_problem(c.model, cluster, 4096, 8 * c.nodes);
    EXPECT_LE(best_of(problem).layout.tp, 8) << c.model << " on " << cluster;
  }
}

TEST(NamedAnswers, LeavingTheNvlinkDomainCosts) {
  const Problem problem = training_problem("llama-3-70b", "dgx-h100:16", 4096, 256);
  EXPECT_GT(step_of(problem, "tp16,pp4,dp2,mbs1,sp"), step_of(problem, "tp8,pp8,dp2,mbs1,sp"));
  // The same degrees with data parallelism inside the node and tensor parallelism across.
  EXPECT_GT(step_of(problem, "tp8,pp2,dp8,mbs1,sp,order=dp-tp-cp-pp"),
            step_of(problem, "tp8,pp2,dp8,mbs1,sp"));
}

TEST(NamedAnswers, WhatNvidiaRunsIsAmongTheBest) {
  // Llama 3.1 70B with 8,192 tokens on 256 H100: tp 4, pp 4, cp 2, 5 virtual stages.
  // Source: NVIDIA dgxc-benchmarking, expected performance of Llama 3.1 70B, BF16.
  const Problem problem = training_problem("llama-3.1-70b", "dgx-h100:32", 8192, 512);
  const Plan best = best_of(problem);
  EXPECT_EQ(best.layout.tp, 4);
  const Seconds published =
      step_of(problem, "tp4,pp4,dp8,mbs1,cp2,vpp5,sp,zero1,overlap=grad+param+tp");
  EXPECT_LE(published, 1.05 * best.prediction.step);
}

TEST(NamedAnswers, MoreBandwidthNeverSlowsALayout) {
  for (const char* layout : {"tp8,pp4,dp4,mbs1,sp,zero1,overlap=grad", "tp4,pp8,dp4,mbs1,vpp2",
                             "tp16,pp2,dp4,mbs1,sp", "tp8,pp1,dp16,mbs1,zero3"}) {
    Seconds slower{1e30};
    for (const double rate : {12.5e9, 25e9, 50e9, 100e9}) {
      Problem problem = training_problem("llama-3-8b", "dgx-h100:16", 4096, 256);
      problem.cluster.nic_bandwidth = {rate};
      const Seconds step = step_of(problem, layout);
      EXPECT_LE(step, slower * (1 + 1e-9)) << layout << " at " << rate;
      slower = step;
    }
  }
}

TEST(NamedAnswers, MoreMemoryNeverWorsensTheBest) {
  Seconds worse{1e30};
  for (const std::int64_t gigabytes : {40, 60, 80, 120, 200}) {
    Problem problem = training_problem("llama-2-70b", "dgx-a100-80gb:8", 4096, 256);
    problem.cluster.device.memory = {gigabytes * 1'000'000'000};
    const Seconds step = best_of(problem).prediction.step;
    EXPECT_LE(step, worse) << gigabytes;
    worse = step;
  }
}

TEST(NamedAnswers, ALargerBatchDoesNotLowerThroughput) {
  double before = 0;
  for (const int batch : {128, 256, 512, 1024}) {
    const Problem problem = training_problem("llama-3-70b", "dgx-h100:8", 4096, batch);
    const double throughput = best_of(problem).prediction.tokens_per_second;
    EXPECT_GE(throughput, before * 0.999) << batch;
    before = throughput;
  }
}

}  // namespace
}  // namespace meshplan::planner
