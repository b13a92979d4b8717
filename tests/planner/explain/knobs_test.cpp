#include "planner/explain/knobs.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <set>

#include "planner/layout/layout_text.h"
#include "tests/support/problems.h"

namespace meshplan::planner {
namespace {

using test::training_problem;

std::set<std::string> turned(const std::string& layout, const Problem& problem,
                             const std::string& knob) {
  std::set<std::string> out;
  for (const KnobTurn& turn : knob_turns(layout_from_text(layout), problem)) {
    if (turn.knob == knob) out.insert(text(turn.layout));
  }
  return out;
}

TEST(KnobTurns, DegreesKeepTheDevices) {
  // gpt2 has 12 heads and 12 layers; 8 devices: tp 1, 2, 4, 8 with dp 8 / tp.
  const Problem problem = training_problem("gpt2", "dgx-h100:1", 1024, 64);
  EXPECT_EQ(turned("tp2,pp1,dp4,mbs1,zero1", problem, "tp"),
            (std::set<std::string>{"tp1,pp1,dp8,mbs1,zero1", "tp4,pp1,dp2,mbs1,zero1",
                                   "tp8,pp1,dp1,mbs1"}));
}

TEST(KnobTurns, WhatATurnMakesMeaninglessGoesWithIt) {
  const Problem problem = training_problem("gpt2", "dgx-h100:1", 1024, 64);
  const auto pipelines = turned("tp2,pp2,dp2,mbs1,vpp3,sp", problem, "pp");
  EXPECT_TRUE(pipelines.contains("tp2,pp1,dp4,mbs1,sp"));       // no chunks without stages
  EXPECT_TRUE(pipelines.contains("tp2,pp4,dp1,mbs1,vpp3,sp"));  // chunks stay with stages
  EXPECT_TRUE(turned("tp2,pp2,dp2,mbs1,sp", problem, "tp").contains("tp1,pp2,dp4,mbs1"));
  EXPECT_TRUE(turned("tp1,pp2,dp4,mbs1,stages=5-7", problem, "pp").contains("tp1,pp1,dp8,mbs1"));
}

TEST(KnobTurns, TooManyDevicesBecomeThoseThereAre) {
  const Problem problem = training_problem("gpt2", "dgx-h100:1", 1024, 64);
  EXPECT_TRUE(turned("tp2,pp2,dp4,mbs1", problem, "dp").contains("tp2,pp2,dp2,mbs1"));
  EXPECT_TRUE(turned("tp2,pp2,dp4,mbs1", problem, "pp").contains("tp2,pp1,dp4,mbs1"));
}

TEST(KnobTurns, EachDiffersFromTheLayoutAndReadsBack) {
  const Problem problem = training_problem("mixtral-8x7b", "dgx-h100:2", 4096, 64);
  EXPECT_TRUE(rc::check("turns are layouts of their own", [&] {
    const char* const layouts[] = {"tp2,pp2,dp4,mbs2,sp,zero1", "tp1,pp4,dp4,mbs1,ep4,vpp2,zero2",
                                   "tp3,pp5,dp7,mbs3", "tp2,pp8,dp1,mbs1,schedule=zb-v",
                                   "tp4,pp1,dp4,mbs1,ep2,etp=2,zero3,hsdp=2"};
    const Layout layout = layout_from_text(layouts[*rc::gen::inRange(0, 5)]);
    for (const KnobTurn& turn : knob_turns(layout, problem)) {
      RC_ASSERT(!(turn.layout == layout));
      RC_ASSERT(layout_from_text(text(turn.layout)) == turn.layout);
      RC_ASSERT(!changed_keys(layout, turn.layout).empty());
      RC_ASSERT(turn.layout.devices() <= std::max(16, layout.devices()));
    }
  }));
}

TEST(ChangedKeys, NamesWhatDiffers) {
  const Layout from = layout_from_text("tp8,pp1,dp16,mbs2,sp,zero1");
  EXPECT_EQ(changed_keys(from, layout_from_text("tp8,pp4,dp4,mbs2,sp,zero1")), "pp4, dp4");
  EXPECT_EQ(changed_keys(from, layout_from_text("tp8,pp1,dp16,mbs1,recompute=full,zero1")),
            "mbs1, no sp, recompute=full");
  EXPECT_EQ(changed_keys(from, from), "");
  // Chunks imply their schedule.
  EXPECT_EQ(
      changed_keys(layout_from_text("tp1,pp2,dp1,mbs1"), layout_from_text("tp1,pp2,dp1,mbs1,vpp3")),
      "vpp3");
}

}  // namespace
}  // namespace meshplan::planner
