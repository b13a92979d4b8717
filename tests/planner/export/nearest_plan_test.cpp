#include "planner/export/nearest_plan.h"

#include <gtest/gtest.h>

#include "planner/model/config.h"
#include "planner/search/search.h"
#include "profiles/cluster_load.h"
#include "tests/planner/export/export_problem.h"

namespace meshplan::planner {
namespace {

Problem gpt2_problem() {
  const profiles::DataFiles files;
  Problem problem;
  problem.model = load_model("gpt2", files);
  problem.cluster = profiles::load_cluster("dgx-a100-80gb:1", files);
  problem.workload.seq_len = 1024;
  problem.workload.global_batch = 16;
  problem.framework = profiles::load_framework("generic", files);
  problem.profile = profiles::load_profile(problem.cluster.device, files);
  return problem;
}

TEST(NearestPlan, KeepsTheDegreesWhereItCan) {
  const Problem problem = gpt2_problem();
  const TargetFramework& deepspeed = shipped_rules().at("deepspeed", "test");
  const auto nearest = nearest_plan(deepspeed, problem, layout_from_text("tp1,pp2,dp4,mbs1,zero2"));
  ASSERT_TRUE(nearest.has_value());
  const Layout& l = nearest->layout;
  EXPECT_EQ(l.tp * 100 + l.pp * 10 + l.dp, 124);
  EXPECT_LT(l.zero, 2);  // ZeRO-2 under a pipeline was what was refused
  FrameworkJudge judge(deepspeed, problem);
  EXPECT_EQ(judge.broken_rule(l), std::nullopt);
  EXPECT_TRUE(nearest->step.has_value());
}

TEST(NearestPlan, GivesDegreesUpWhereItMust) {
  // FSDP2 has no pipeline: no layout with pp 2 is left.
  const auto nearest = nearest_plan(shipped_rules().at("fsdp", "test"), gpt2_problem(),
                                    layout_from_text("tp1,pp2,dp4,mbs1,zero2"));
  ASSERT_TRUE(nearest.has_value());
  EXPECT_EQ(nearest->layout.pp, 1);
  EXPECT_EQ(nearest->layout.dp, 8);
  EXPECT_GE(nearest->layout.zero, 2);
}

TEST(NearestPlan, NothingTrainsOnAServer) {
  EXPECT_EQ(nearest_plan(shipped_rules().at("vllm", "test"), gpt2_problem(),
                         layout_from_text("tp1,pp1,dp8,mbs1")),
            std::nullopt);
}

TEST(NearestPlan, OfAnEngineHasTheClosestDegrees) {
  Problem problem = export_problem();
  make_inference(problem);
  // TGI has no pipeline: of tp8 and tp4 with two replicas, which are a factor of two and of two
  // away in two degrees each, the first in order is taken; both keep all rules.
  const auto nearest =
      nearest_plan(shipped_rules().at("tgi", "test"), problem, layout_from_text("tp4,pp2,dp1"));
  ASSERT_TRUE(nearest.has_value());
  EXPECT_EQ(nearest->layout.pp, 1);
  EXPECT_EQ(nearest->layout.devices(), 8);
  EXPECT_GE(nearest->layout.tp, 4);
}

TEST(PlanFor, SearchesWhatTheFrameworkRuns) {
  const Problem problem = gpt2_problem();
  for (const char* name : {"megatron", "deepspeed", "torchtitan", "dataparallel"}) {
    const TargetFramework& framework = shipped_rules().at(name, "test");
    FrameworkJudge judge(framework, problem);
    SearchOptions options;
    options.top = 3;
    options.refusing_rule = [&](const Layout& layout) { return judge.broken_rule(layout); };
    const PlanResult result = search(problem, options);
    ASSERT_TRUE(result.search.has_value());
    std::int64_t refused = 0;
    for (const auto& [reason, count] : result.search->rejected) {
      if (reason.starts_with(framework.name + ".")) refused += count;
    }
    EXPECT_GT(refused, 0) << name;
    for (const Plan& plan : result.plans) {
      EXPECT_EQ(judge.broken_rule(plan.layout), std::nullopt) << name << " " << text(plan.layout);
    }
  }
}

}  // namespace
}  // namespace meshplan::planner
