#include "planner/layout/legality.h"

#include <gtest/gtest.h>

#include "planner/layout/layout_text.h"

namespace meshplan::planner {
namespace {

/// 24 heads, 8 kv heads, 32 layers: divisible by little, so that each rule can be broken alone.
Transformer small_model() {
  Transformer model;
  model.layers = 32;
  model.hidden = 3072;
  model.heads = 24;
  model.kv_heads = 8;
  model.head_dim = 128;
  model.ffn = 8192;
  model.vocab = 32000;
  return model;
}

Workload training() {
  Workload workload;
  workload.seq_len = 4096;
  workload.global_batch = 96;
  return workload;
}

std::optional<Rule> broken(const char* layout, int devices = 1024,
                           const Transformer& model = small_model()) {
  const Layout parsed = layout_from_text(layout);
  const auto first = broken_rule(parsed, model, training(), devices);
  const auto all = violations(parsed, model, training(), devices);
  EXPECT_EQ(first.has_value(), !all.empty()) << layout;
  if (first && !all.empty()) {
    EXPECT_EQ(*first, all.front().rule) << layout;
  }
  return first;
}

TEST(Legality, AcceptsWhatRuns) {
  for (const char* layout : {"tp8,pp4,dp4,mbs1", "tp1,pp1,dp96,mbs1", "tp8,pp4,dp1,mbs2,vpp8,sp",
                             "tp1,pp1,dp1,cp8,cp_kind=ulysses", "tp2,pp4,dp2,mbs1,schedule=zb-v",
                             "tp1,pp4,dp96,mbs1", "tp1,pp34,dp1"}) {
    EXPECT_EQ(broken(layout), std::nullopt) << layout;
  }
}

TEST(Legality, EachRuleNamesItself) {
  EXPECT_EQ(broken("tp8,pp4,dp4", 127), Rule::Devices);
  EXPECT_EQ(broken("tp16,pp1,dp1"), Rule::HeadsByTp);
  EXPECT_EQ(broken("tp2,pp1,dp1,cp8,cp_kind=ulysses"), Rule::HeadsByTp);  // 24 heads over 16
  EXPECT_EQ(broken("tp12,pp1,dp1"), Rule::KvHeadsByTp);  // 24 % 12 == 0, but 8 and 12 do not divide
  EXPECT_EQ(broken("tp1,pp1,dp1,cp3"), Rule::SequenceByCp);
  EXPECT_EQ(broken("tp1,pp1,dp5"), Rule::BatchByMicrobatch);
  EXPECT_EQ(broken("tp1,pp1,dp32,mbs2"), Rule::BatchByMicrobatch);
  EXPECT_EQ(broken("tp1,pp35,dp1"), Rule::LayersByStages);  // 32 layers + both ends = 34
  EXPECT_EQ(broken("tp1,pp2,dp1,stages=16-15"), Rule::StagesSum);
  EXPECT_EQ(broken("tp1,pp2,dp1,stages=32"), Rule::StagesSum);
  EXPECT_EQ(broken("tp1,pp1,dp1,vpp2"), Rule::VppNeedsPipeline);
  EXPECT_EQ(broken("tp1,pp4,dp1,vpp2,schedule=gpipe"), Rule::VppNeedsPipeline);
  EXPECT_EQ(broken("tp1,pp1,dp1,schedule=zb-h1"), Rule::ScheduleNeedsPipeline);
  EXPECT_EQ(broken("tp1,pp4,dp16,mbs1,vpp2"), Rule::InterleavedBatches);  // 96/16 = 6, 6 % 4
  EXPECT_EQ(broken("tp1,pp1,dp8,ep4"), Rule::ExpertsByEp);                // a dense model
  EXPECT_EQ(broken("tp1,pp1,dp8,zero3,hsdp=3"), Rule::ShardsByHsdp);
  EXPECT_EQ(broken("tp1,pp1,dp8,hsdp=2"), Rule::ShardsByHsdp);  // nothing is sharded
}

TEST(Legality, ExpertsDivideTheirGroups) {
  Transformer model = small_model();
  model.experts = Experts{.count = 8, .per_token = 2, .width = 1024};
  EXPECT_EQ(broken("tp1,pp1,dp8,ep8", 1024, model), std::nullopt);
  EXPECT_EQ(broken("tp2,pp1,dp4,ep8,etp1", 1024, model), std::nullopt);
  EXPECT_EQ(broken("tp1,pp1,dp8,ep16", 1024, model), Rule::ExpertsByEp);  // 8 experts
  EXPECT_EQ(broken("tp1,pp1,dp4,ep8", 1024, model), Rule::ExpertsByEp);   // 4 ranks
}

TEST(Legality, WordsNameTheNumbers) {
  const auto all = violations(layout_from_text("tp16,pp1,dp5"), small_model(), training(), 8);
  // hidden 3072 and ffn 8192 divide by 16, kv heads 8 divide 16: three rules are left.
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].what, "80 devices are needed, 8 are there");
  EXPECT_EQ(all[1].what, "24 heads are not divisible by tp 16");
  EXPECT_EQ(all[2].what, "global batch 96 is not divisible by dp 5 * mbs 1");
}

}  // namespace
}  // namespace meshplan::planner
