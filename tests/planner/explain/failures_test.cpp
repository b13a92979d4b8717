#include "planner/explain/failures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "planner/layout/layout_text.h"
#include "tests/support/problems.h"

namespace meshplan::planner {
namespace {

using test::training_problem;
using testing::HasSubstr;

std::vector<Failure> failures_of(const std::string& layout, const Problem& problem) {
  return failures(layout_from_text(layout), problem, {});
}

const Failure& only(const std::vector<Failure>& all, const std::string& rule) {
  static const Failure kNone;
  for (const Failure& failure : all) {
    if (failure.rule == rule) return failure;
  }
  ADD_FAILURE() << "no failure " << rule;
  return kNone;
}

// llama-3-70b: 64 heads, 8 kv heads, hidden 8192, ffn 28672, 80 layers.
const Problem& llama() {
  static const Problem kProblem = training_problem("llama-3-70b", "dgx-h100:16", 8192, 512);
  return kProblem;
}

TEST(Failures, HeadsThatAreLeftOver) {
  // 64 = 5 * 12 + 4; 8 kv heads: 12 = 8 + 4; 8192 = 682 * 12 + 8.
  const auto all = failures_of("tp12,pp1,dp1,mbs1", llama());
  EXPECT_EQ(only(all, "heads_by_tp").found, 12);
  EXPECT_EQ(only(all, "heads_by_tp").needed, "a divisor of 64");
  EXPECT_EQ(only(all, "heads_by_tp").missing, 4);
  EXPECT_EQ(only(all, "kv_heads_by_tp").missing, 4);
  EXPECT_EQ(only(all, "hidden_by_tp").missing, 8);
  EXPECT_EQ(all.size(), 3);
}

TEST(Failures, ExpertsThatCannotBeCut) {
  // Experts of 768 = 153 * 5 + 3.
  const Problem problem = training_problem("qwen3-30b-a3b", "dgx-h100:2", 4096, 64);
  const Failure failure = only(failures_of("tp1,pp1,dp10,mbs1,etp5", problem), "hidden_by_tp");
  EXPECT_THAT(failure.what, HasSubstr("experts of width 768"));
  EXPECT_EQ(failure.needed, "a divisor of 768");
  EXPECT_EQ(failure.missing, 3);
}

TEST(Failures, DevicesThatAreTooMany) {
  // 8 * 8 * 4 = 256 of 128.
  const Failure failure = only(failures_of("tp8,pp8,dp4,mbs1", llama()), "devices");
  EXPECT_EQ(failure.found, 256);
  EXPECT_EQ(failure.missing, 128);
  EXPECT_EQ(failure.needed, "at most 128");
}

TEST(Failures, SequencesMicrobatchesAndLayers) {
  // 512 = 34 * 15 + 2.
  EXPECT_EQ(only(failures_of("tp1,pp1,dp3,mbs5", llama()), "batch_by_microbatch").missing, 2);
  // 512 / 4 / 32 = 4 micro-batches over 16 stages leaves 4.
  const Failure ragged =
      only(failures_of("tp1,pp16,dp4,mbs32,vpp5", llama()), "interleaved_batches");
  EXPECT_EQ(ragged.found, 4);
  EXPECT_EQ(ragged.missing, 4);
  // 16 * 6 = 96 chunks of 80 layers, embedding and head: 14 too many.
  EXPECT_EQ(only(failures_of("tp1,pp16,dp1,mbs1,vpp6", llama()), "layers_by_stages").missing, 14);
  // 20 + 20 + 20 + 19 = 79 of 80 layers.
  const Failure sum =
      only(failures_of("tp1,pp4,dp1,mbs1,stages=20-20-20-19", llama()), "stages_sum");
  EXPECT_EQ(sum.found, 79);
  EXPECT_EQ(sum.missing, 1);
  EXPECT_EQ(sum.unit, "layers missing");
}

TEST(Failures, TokensExpertsAndShards) {
  // 8192 = 1365 * 6 + 2.
  EXPECT_EQ(only(failures_of("tp1,pp1,dp1,mbs1,cp3", llama()), "sequence_by_cp").missing, 2);
  // 8 replicas over hsdp 3: 2 left.
  EXPECT_EQ(only(failures_of("tp1,pp1,dp8,mbs1,zero3,hsdp=3", llama()), "shards_by_hsdp").missing,
            2);
  const Problem mixtral = training_problem("mixtral-8x7b", "dgx-h100:2", 4096, 64);
  // 8 experts over ep 3: 2 left.
  EXPECT_EQ(only(failures_of("tp1,pp1,dp4,mbs1,ep3", mixtral), "experts_by_ep").missing, 2);
}

TEST(Failures, EveryRuleStatesFiguresOrNothing) {
  // Each rule of training once; found and needed are stated together.
  for (const char* layout :
       {"tp12,pp8,dp4,mbs3", "tp1,pp1,dp1,mbs1,vpp2", "tp1,pp2,dp1,mbs1,schedule=zb-h1,vpp2",
        "tp1,pp1,dp1,mbs1,schedule=gpipe", "tp1,pp1,dp1,mbs1,ep2", "tp1,pp1,dp2,mbs1,hsdp=2"}) {
    const auto all = failures_of(layout, llama());
    EXPECT_FALSE(all.empty()) << layout;
    for (const Failure& failure : all) {
      EXPECT_FALSE(failure.what.empty()) << layout;
      EXPECT_FALSE(failure.needed.empty()) << layout << " " << failure.rule;
      EXPECT_GT(failure.missing, 0) << layout << " " << failure.rule;
    }
  }
}

TEST(Failures, MemoryIsJudgedWhereNoRuleIsBroken) {
  Problem problem = training_problem("gpt2", "dgx-h100:1/1", 1024, 8);
  problem.cluster.device.memory = {1000};
  StageMemory memory{};
  memory.weights = {700};
  memory.context = {450};
  const auto all = failures(layout_from_text("tp1,pp1,dp1,mbs1"), problem, {memory});
  ASSERT_EQ(all.size(), 1);
  EXPECT_EQ(all[0].rule, kOutOfMemory);
  EXPECT_EQ(all[0].found, 1150);
  EXPECT_EQ(all[0].missing, 150);
  EXPECT_THAT(all[0].what, HasSubstr("stage 0"));
  problem.memory_margin = 0.1;  // 900 bytes may be used
  EXPECT_EQ(failures(layout_from_text("tp1,pp1,dp1,mbs1"), problem, {memory})[0].missing, 250);
  problem.cluster.device.memory = {2000};
  EXPECT_TRUE(failures(layout_from_text("tp1,pp1,dp1,mbs1"), problem, {memory}).empty());
}

}  // namespace
}  // namespace meshplan::planner
