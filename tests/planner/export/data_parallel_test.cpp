#include "planner/export/data_parallel.h"

#include <gtest/gtest.h>

#include "planner/layout/layout_text.h"
#include "planner/model/config.h"
#include "profiles/cluster_load.h"
#include "tests/planner/export/export_problem.h"

namespace meshplan::planner {
namespace {

Problem gpt2_on(const char* cluster) {
  const profiles::DataFiles files;
  Problem problem;
  problem.model = load_model("gpt2", files);
  problem.cluster = profiles::load_cluster(cluster, files);
  problem.workload.seq_len = 1024;
  problem.workload.global_batch = 64;
  problem.framework = profiles::load_framework("generic", files);
  problem.profile = profiles::load_profile(problem.cluster.device, files);
  return problem;
}

TEST(SingleProcessLoss, OneDeviceLosesNothing) {
  const SingleProcessLoss loss =
      single_process_loss(gpt2_on("dgx-a100-80gb:1/1"), layout_from_text("tp1,pp1,dp1,mbs8"));
  EXPECT_EQ(loss.broadcast, profiles::Seconds{0});
  EXPECT_DOUBLE_EQ(loss.slowdown(), 0);
}

TEST(SingleProcessLoss, PaysABroadcastAndAReductionForEachMicrobatch) {
  const Problem problem = gpt2_on("dgx-a100-80gb:1");
  // 64 sequences on 8 devices: one micro-batch of 8, or eight of 1.
  const SingleProcessLoss one = single_process_loss(problem, layout_from_text("tp1,pp1,dp8,mbs8"));
  const SingleProcessLoss eight =
      single_process_loss(problem, layout_from_text("tp1,pp1,dp8,mbs1"));
  EXPECT_GT(one.slowdown(), 0);
  EXPECT_GT(eight.slowdown(), one.slowdown());
  EXPECT_EQ(one.broadcast, eight.broadcast);
  // 124 million parameters in bf16 are 249 MB, which no broadcast moves faster than a device's
  // links.
  EXPECT_GT(one.broadcast.count(), 249e6 / problem.cluster.intra_bandwidth.rate);
}

TEST(SingleProcessLoss, IsWorseOnSlowerLinks) {
  const Layout layout = layout_from_text("tp1,pp1,dp8,mbs8");
  EXPECT_GT(single_process_loss(gpt2_on("l40s-pcie:1"), layout).broadcast,
            single_process_loss(gpt2_on("dgx-h100:1"), layout).broadcast);
}

}  // namespace
}  // namespace meshplan::planner
