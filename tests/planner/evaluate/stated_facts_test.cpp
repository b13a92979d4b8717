#include "planner/evaluate/stated_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "planner/layout/layout_text.h"
#include "planner/layout/legality.h"
#include "planner/model/config.h"
#include "profiles/data_files.h"

namespace meshplan::planner {
namespace {

using profiles::DataType;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(PrecisionNamed, ReadsTheWordsOfRecipes) {
  EXPECT_EQ(precision_named("BF16"), DataType::Bf16);
  EXPECT_EQ(precision_named("amp_bf16"), DataType::Bf16);
  EXPECT_EQ(precision_named("mixed"), DataType::Bf16);
  EXPECT_EQ(precision_named("amp fp16"), DataType::Fp16);
  EXPECT_EQ(precision_named("FP8-CS"), DataType::Fp8);
  EXPECT_EQ(precision_named("MXFP8"), DataType::Fp8);
  EXPECT_EQ(precision_named("bf16, float8 rowwise"), DataType::Fp8);
  EXPECT_EQ(precision_named("NVFP4"), DataType::Fp4);
  EXPECT_EQ(precision_named("int3"), std::nullopt);
}

TEST(PlainLayoutText, TranslatesRecomputation) {
  EXPECT_EQ(plain_layout_text("TP8, PP4,dp2,mbs1"), "tp8,pp4,dp2,mbs1");
  EXPECT_EQ(plain_layout_text("tp1,recompute=Block,zero3"), "tp1,recompute=full,zero3");
  EXPECT_EQ(plain_layout_text("tp1,recompute=attention"), "tp1,recompute=selective");
  EXPECT_EQ(plain_layout_text("tp1,recompute=off,sp"), "tp1,recompute=none,sp");
  EXPECT_EQ(plain_layout_text("tp1,recompute=blocks"), "tp1,recompute=blocks") << "left to refuse";
}

class Runnable : public testing::Test {
 protected:
  Layout of(const char* text, int global_batch, int devices) {
    workload_.seq_len = 1022;
    workload_.global_batch = global_batch;
    return runnable(layout_from_text(text, "layout"), model_, workload_, devices, assumed_);
  }
  Transformer model_ = load_model("gpt2", profiles::DataFiles());
  Workload workload_;
  std::vector<std::string> assumed_;
};

TEST_F(Runnable, LeavesLegalLayoutsAlone) {
  const Layout layout = layout_from_text("tp2,pp2,dp2,mbs1,sp,zero1", "layout");
  EXPECT_EQ(of("tp2,pp2,dp2,mbs1,sp,zero1", 8, 8), layout);
  EXPECT_THAT(assumed_, IsEmpty());
}

TEST_F(Runnable, TakesBackWhatSchedulesCannotExpress) {
  // 3 micro-batches over 2 stages, and 1022 tokens over 4 ranks.
  const Layout layout = of("tp4,pp2,dp1,mbs1,vpp2,sp", 3, 8);
  EXPECT_EQ(layout, layout_from_text("tp4,pp2,dp1,mbs1", "layout"));
  EXPECT_THAT(assumed_,
              ElementsAre("sequences not sharded: tp does not divide them", "one chunk a stage"));
  EXPECT_THAT(violations(layout, model_, workload_, 8), IsEmpty());
}

TEST_F(Runnable, WhatCannotRunStaysBroken) {
  const Layout layout = of("tp5,pp1,dp1,mbs1", 8, 8);
  EXPECT_EQ(broken_rule(layout, model_, workload_, 8), Rule::HeadsByTp);
  EXPECT_THAT(assumed_, IsEmpty());
}

}  // namespace
}  // namespace meshplan::planner
