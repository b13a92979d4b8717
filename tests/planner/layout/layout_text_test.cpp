#include "planner/layout/layout_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::InputError;
using testing::HasSubstr;

std::string refusal(std::string_view layout) {
  try {
    (void)layout_from_text(layout);
  } catch (const InputError& error) {
    return error.what();
  }
  return "(accepted)";
}

Layout random_layout() {
  Layout l;
  l.tp = *rc::gen::inRange(1, 64);
  l.pp = *rc::gen::inRange(1, 64);
  l.dp = *rc::gen::inRange(1, 4096);
  l.mbs = *rc::gen::inRange(1, 64);
  l.cp = *rc::gen::inRange(1, 8);
  l.ep = *rc::gen::inRange(1, 8);
  if (*rc::gen::arbitrary<bool>()) l.etp = *rc::gen::inRange(1, 8);
  l.vpp = *rc::gen::inRange(1, 8);
  l.sp = *rc::gen::arbitrary<bool>();
  l.recompute = *rc::gen::element(Recompute::None, Recompute::Selective, Recompute::Full);
  l.zero = *rc::gen::inRange(0, 4);
  l.hsdp = *rc::gen::inRange(1, 8);
  l.overlap =
      *rc::gen::element(Overlap::None, Overlap::Grad, Overlap::GradParam, Overlap::GradParamTp);
  l.cp_kind = *rc::gen::element(ContextKind::Ring, ContextKind::AllGather, ContextKind::Ulysses);
  l.offload = *rc::gen::element(Offload::None, Offload::Activations, Offload::Optimizer);
  std::vector<Axis> axes(l.order.begin(), l.order.end());
  for (int swaps = *rc::gen::inRange(0, 4); swaps > 0; --swaps) {
    std::swap(axes[0], axes[static_cast<std::size_t>(*rc::gen::inRange(0, 4))]);
  }
  std::copy(axes.begin(), axes.end(), l.order.begin());
  l.schedule =
      *rc::gen::element(ScheduleKind::GPipe, ScheduleKind::OneFOneB, ScheduleKind::Interleaved,
                        ScheduleKind::ZbH1, ScheduleKind::ZbH2, ScheduleKind::ZbV);
  l.stages = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 99));
  return normalised(l);
}

TEST(LayoutText, RoundTripsForEveryLayout) {
  EXPECT_TRUE(rc::check([] {
    const Layout layout = random_layout();
    RC_ASSERT(layout_from_text(text(layout)) == layout);
  }));
}

TEST(LayoutText, PrintsTheDesignsExample) {
  Layout layout;
  layout.tp = 8;
  layout.pp = 8;
  layout.dp = 4;
  layout.vpp = 3;
  layout.sp = true;
  layout.recompute = Recompute::Selective;
  layout.zero = 1;
  layout.schedule = ScheduleKind::Interleaved;
  EXPECT_EQ(text(layout), "tp8,pp8,dp4,mbs1,vpp3,sp,recompute=selective,zero1");
  EXPECT_EQ(text(layout, false), "tp8,pp8,dp4,vpp3,sp,recompute=selective,zero1");
}

TEST(LayoutText, KeysComeInTheOrderOfTheDesign) {
  const char* everything =
      "tp2,pp4,dp8,mbs2,cp2,ep4,etp1,vpp2,sp,recompute=full,zero2,hsdp=2,overlap=grad+param,"
      "cp_kind=allgather,offload=optimizer,order=tp-dp-cp-pp,stages=1-2-3-4-5-6-7-8";
  EXPECT_EQ(text(layout_from_text(everything)), everything);
}

TEST(LayoutText, ReadsAnyOrderAndDefaults) {
  EXPECT_EQ(text(layout_from_text("zero1,dp4,sp,tp8")), "tp8,pp1,dp4,mbs1,sp,zero1");
  EXPECT_EQ(text(layout_from_text("tp1,pp4,dp1,mbs1,schedule=1f1b")), "tp1,pp4,dp1,mbs1");
}

TEST(LayoutText, VirtualStagesImplyInterleaving) {
  EXPECT_EQ(layout_from_text("tp1,pp4,dp1,vpp2").schedule, ScheduleKind::Interleaved);
  // zb-v means two chunks; saying so changes nothing.
  EXPECT_EQ(text(layout_from_text("pp4,vpp2,schedule=zb-v")), "tp1,pp4,dp1,mbs1,schedule=zb-v");
  EXPECT_EQ(layout_from_text("pp4,schedule=zb-v").chunks(), 8);
}

TEST(LayoutText, RefusesWithOneClearLine) {
  EXPECT_EQ(refusal("tp8,pq4"), "layout: expected a layout key, found 'pq4'; did you mean 'pp'?");
  EXPECT_EQ(refusal("tp8,tp4"), "layout: expected each key once, found 'tp' twice");
  EXPECT_EQ(refusal("tp0"), "layout: expected a whole number of at least 1 for 'tp', found '0'");
  EXPECT_EQ(refusal("tp999999999999"),
            "layout: expected a whole number of at most 100000000 for 'tp', found '999999999999'");
  EXPECT_EQ(refusal("recompute=some"),
            "layout: expected one of none, selective, full for 'recompute', found 'some'");
  for (const char* bad :
       {"", ",", "tp8,", "tp", "tp-1", "tp1.5", "tp999999999999", "sp=1", "zero4", "order=tp-cp",
        "order=tp-tp-dp-pp", "stages=1-x", "stages=", "schedule=interleaved", "tp8;pp4", "TP8"}) {
    EXPECT_THAT(refusal(bad), HasSubstr("expected")) << bad;
  }
}

}  // namespace
}  // namespace meshplan::planner
