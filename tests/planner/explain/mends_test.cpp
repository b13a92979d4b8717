#include "planner/explain/mends.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "planner/explain/explain.h"
#include "planner/explain/fastest.h"
#include "planner/explain/knobs.h"
#include "planner/layout/layout_text.h"
#include "tests/support/problems.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using test::training_problem;
using testing::HasSubstr;

Explanation explained(const Problem& problem, const std::string& layout) {
  return explain(problem, layout_from_text(layout), {});
}

bool runs_in(const Problem& problem, const Layout& layout) {
  PriceBook book(problem);
  return runs(book, layout);
}

TEST(Fastest, IsTheLeastOfAllPredictions) {
  const Problem problem = training_problem("megatron-1.7b", "dgx-a100-80gb:1", 1024, 64);
  PriceBook book(problem);
  std::vector<Layout> layouts;
  for (const KnobTurn& turn : knob_turns(layout_from_text("tp2,pp2,dp2,mbs2,zero1"), problem)) {
    if (runs(book, turn.layout)) layouts.push_back(turn.layout);
  }
  ASSERT_GT(layouts.size(), 10);
  profiles::Seconds least = predict(book, layouts.front()).prediction.step;
  for (const Layout& layout : layouts) {
    least = std::min(least, predict(book, layout).prediction.step);
  }
  EXPECT_EQ(fastest(book, layouts).prediction.step, least);
}

TEST(Mends, EveryMendRunsAndTheCheapestComesFirst) {
  // The memory that the layout needs, less one byte: it does not fit by exactly that byte.
  Problem problem = training_problem("megatron-1.7b", "dgx-a100-80gb:1", 1024, 64);
  const Layout layout = layout_from_text("tp1,pp1,dp8,mbs8");
  PriceBook book(problem);
  problem.cluster.device.memory = peak_bytes(memory_of(book, layout)) - Bytes{1};
  const Explanation why = explain(problem, layout, {});
  ASSERT_EQ(why.failing.size(), 1);
  EXPECT_EQ(why.failing[0].failure.rule, kOutOfMemory);
  EXPECT_EQ(why.failing[0].failure.missing, 1);
  ASSERT_FALSE(why.failing[0].mends.empty());
  profiles::Seconds last{0};
  for (const Mend& mend : why.failing[0].mends) {
    EXPECT_TRUE(runs_in(problem, mend.plan.layout)) << mend.change;
    EXPECT_EQ(mend.also, "") << mend.change;  // one knob is enough
    EXPECT_GE(mend.plan.prediction.step, last);
    last = mend.plan.prediction.step;
  }
  ASSERT_TRUE(why.nearest);
  EXPECT_EQ(why.nearest->turns, 1);
  EXPECT_EQ(why.nearest->plan.prediction.step, why.failing[0].mends[0].plan.prediction.step);
}

TEST(Mends, KnobsThatFreeNoDevicesMendWhatElseFails) {
  // 16 devices of 8, and 64 sequences over micro-batches of 3: mbs mends the second alone.
  const Problem problem = training_problem("gpt2", "dgx-h100:1", 1024, 64);
  const Explanation why = explained(problem, "tp4,pp4,dp1,mbs3");
  ASSERT_EQ(why.failing.size(), 2);
  const Mending& batch = why.failing[1];
  EXPECT_EQ(batch.failure.rule, "batch_by_microbatch");
  ASSERT_FALSE(batch.mends.empty());
  EXPECT_EQ(batch.mends.front().knob, "mbs");
  EXPECT_NE(batch.mends.front().also, "");  // and fewer devices
  EXPECT_TRUE(runs_in(problem, batch.mends.front().plan.layout));
}

TEST(Mends, OfTwoFailuresEachIsPricedWithTheOthers) {
  // 12 heads over tp 5 and 64 sequences over micro-batches of 3.
  const Problem problem = training_problem("gpt2", "dgx-h100:1", 1024, 64);
  const Explanation why = explained(problem, "tp5,pp1,dp1,mbs3");
  EXPECT_FALSE(why.plan);
  bool heads = false;
  for (const Mending& mending : why.failing) {
    if (mending.failure.rule != "heads_by_tp") continue;
    heads = true;
    ASSERT_FALSE(mending.mends.empty());
    EXPECT_EQ(mending.mends[0].knob, "tp");
    EXPECT_THAT(mending.mends[0].also, HasSubstr("mbs"));
    EXPECT_TRUE(runs_in(problem, mending.mends[0].plan.layout));
  }
  EXPECT_TRUE(heads);
  ASSERT_TRUE(why.nearest);
  EXPECT_EQ(why.nearest->turns, 2);
  ASSERT_TRUE(why.standing);
  EXPECT_EQ(why.standing->layout, why.nearest->plan.layout);
}

TEST(Mends, MoreNodesForMoreDevices) {
  const Problem problem = training_problem("megatron-1.7b", "dgx-a100-80gb:1", 1024, 64);
  const Explanation why = explained(problem, "tp2,pp2,dp4,mbs1");  // 16 of 8
  ASSERT_EQ(why.failing.size(), 1);
  ASSERT_FALSE(why.failing[0].mends.empty());
  const Mend& last = why.failing[0].mends.back();
  EXPECT_EQ(last.knob, "cluster");
  EXPECT_EQ(last.change, "2 nodes instead of 1");
  EXPECT_EQ(last.plan.layout, why.layout);
}

TEST(Mends, WhatNothingMendsSaysHowMuchEachKnobGivesBack) {
  const Problem problem = training_problem("llama-3.1-405b", "dgx-h100:1", 8192, 8);
  const Explanation why = explained(problem, "tp8,pp1,dp1,mbs1,sp");
  ASSERT_EQ(why.failing.size(), 1);
  EXPECT_TRUE(why.failing[0].mends.empty());
  ASSERT_FALSE(why.failing[0].reliefs.empty());
  EXPECT_EQ(why.failing[0].reliefs[0].change, "recompute=full");
  EXPECT_LT(why.failing[0].reliefs[0].saved.count, why.failing[0].failure.missing);
  EXPECT_FALSE(why.nearest);
  ASSERT_TRUE(why.searched.nearest_miss);
  EXPECT_FALSE(why.searched.nearest_miss->cheapest_knob.empty());
  EXPECT_TRUE(why.memory);
}

TEST(Mends, AnyLayoutIsExplained) {
  const Problem problem = training_problem("gpt2", "dgx-h100:1", 1024, 48);
  EXPECT_TRUE(rc::check("what fails is named, what runs is compared", [&] {
    Layout layout;
    layout.tp = *rc::gen::inRange(1, 9);
    layout.pp = *rc::gen::inRange(1, 9);
    layout.dp = *rc::gen::inRange(1, 9);
    layout.mbs = *rc::gen::inRange(1, 9);
    layout.vpp = *rc::gen::inRange(1, 4);
    layout.zero = *rc::gen::inRange(0, 4);
    layout.sp = *rc::gen::arbitrary<bool>();
    layout = normalised(layout);
    const Explanation why = explain(problem, layout, {});
    PriceBook book(problem);
    RC_ASSERT(why.failing.empty() == runs(book, layout));
    RC_ASSERT(!why.searched.plans.empty());
    if (why.failing.empty()) {
      RC_ASSERT(why.standing->step >= why.standing->best_step || layout.devices() != 8);
      RC_ASSERT(!why.nearest);
    } else if (why.nearest) {
      RC_ASSERT(runs(book, why.nearest->plan.layout));
    }
    for (const Mending& mending : why.failing) {
      for (const Mend& mend : mending.mends)
        RC_ASSERT(mend.knob == "cluster" || runs(book, mend.plan.layout));
    }
  }));
}

}  // namespace
}  // namespace meshplan::planner
