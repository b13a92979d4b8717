#include "planner/cost/collective/collective_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "profiles/cluster_load.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

class CollectiveTable : public testing::Test {
 protected:
  std::vector<MeasuredCollective> read(const std::string& text) {
    std::ofstream(path_) << text;
    return read_collective_table(path_);
  }
  std::string refusal(const std::string& text) {
    try {
      (void)read(text);
    } catch (const profiles::InputError& error) {
      return error.what();
    }
    return "accepted";
  }
  void TearDown() override { std::remove(path_.c_str()); }

  const std::string path_ = testing::TempDir() + "collectives_" +
                            testing::UnitTest::GetInstance()->current_test_info()->name() + ".csv";
};

TEST_F(CollectiveTable, ReadsRowsAndIgnoresOtherColumns) {
  const auto rows = read(
      "op,bytes,ranks,nodes,cluster,seconds,source\n"
      "all_gather,512,2,1,dgx-b200,8.84e-06,\"nccl-tests style, one node\"\n");
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].operation, Collective::AllGather);
  EXPECT_EQ(rows[0].bytes.count, 512);
  EXPECT_EQ(rows[0].cluster, "dgx-b200");
  EXPECT_DOUBLE_EQ(rows[0].time.count(), 8.84e-6);
  EXPECT_EQ(rows[0].source, "nccl-tests style, one node");
  EXPECT_EQ(rows[0].where, path_ + ":2");
}

TEST_F(CollectiveTable, ReportsAreOfTheSourcesHostAndItsWayOfTiming) {
  const std::string header = "op,bytes,ranks,nodes,cluster,seconds,source\n";
  const std::string all_reduce = "all_reduce,268435456,4,1,l40s-pcie,1,";
  const std::string send = "send_recv,67108864,2,1,dgx-a100-80gb,1,";
  const auto rows = read(header + all_reduce + "nccl-tests style\n" + all_reduce + "ours\n" + send +
                         "vidur a100_dgx\n" + send + "ours\n");
  const auto report = [&](std::size_t row) {
    return reported_time(rows.at(row), profiles::load_cluster(rows.at(row).cluster, {}));
  };
  EXPECT_GT(report(0), 2 * report(1));  // its switches let nothing through
  EXPECT_LT(report(2), report(3));      // the sender's kernel, not the receiver's
  const std::string gather = "all_gather,16777216,8,1,dgx-b200,1,";
  const auto gathers = read(header + gather + "nccl-tests style\n" + gather + "azure\n");
  const profiles::Cluster b200 = profiles::load_cluster("dgx-b200", {});
  EXPECT_GT(reported_time(gathers.at(0), b200), reported_time(gathers.at(1), b200));  // no LL128
}

TEST_F(CollectiveTable, KnowsHowRowsWereTimed) {
  const std::string row = "all_reduce,8,8,1,dgx-h100,3e-5";
  EXPECT_EQ(read("op,bytes,ranks,nodes,cluster,seconds\n" + row + "\n").at(0).timing,
            CallTiming::Graph);
  const auto sources = read("op,bytes,ranks,nodes,cluster,seconds,source\n" + row +
                            ",vidur h100_dgx\n" + row + ",cloud_log\n" + row + ",\n");
  EXPECT_EQ(sources.at(0).timing, CallTiming::Kernel);
  EXPECT_EQ(sources.at(1).timing, CallTiming::Launched);
  EXPECT_EQ(sources.at(2).timing, CallTiming::Graph);
  // What a row states goes before its source's habit.
  const auto stated = read("op,bytes,ranks,nodes,cluster,seconds,source,timed\n" + row +
                           ",cloud_log,graph\n" + row + ",cloud_log,\n");
  EXPECT_EQ(stated.at(0).timing, CallTiming::Graph);
  EXPECT_EQ(stated.at(1).timing, CallTiming::Launched);
}

TEST_F(CollectiveTable, RefusesWhatIsNoMeasurement) {
  using testing::HasSubstr;
  const std::string header = "op,bytes,ranks,nodes,cluster,seconds\n";
  EXPECT_THAT(refusal("op,bytes,ranks,nodes,cluster\n"), HasSubstr("a column 'seconds'"));
  EXPECT_THAT(refusal(header + "all_reduc,1,2,1,c,1\n"),
              HasSubstr(":2, column 'op': expected a collective; did you mean 'all_reduce'?"));
  EXPECT_THAT(refusal(header + "all_reduce,1,2,1,c,0\n"), HasSubstr("a number > 0"));
  EXPECT_THAT(refusal(header + "all_reduce,-1,2,1,c,1\n"), HasSubstr("at least 0"));
  EXPECT_THAT(refusal(header + "all_reduce,1,2,3,c,1\n"), HasSubstr("column 'nodes'"));
  EXPECT_THAT(refusal(header + "all_reduce,x,2,1,c,1\n"), HasSubstr("a whole number"));
  EXPECT_THAT(refusal("op,bytes,ranks,nodes,cluster,seconds,timed\nall_reduce,1,2,1,c,1,python\n"),
              HasSubstr("column 'timed': expected graph, launched, kernel or program"));
}

}  // namespace
}  // namespace meshplan::planner
