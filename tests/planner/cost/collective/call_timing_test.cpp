#include "planner/cost/collective/call_timing.h"

#include <gtest/gtest.h>

namespace meshplan::planner {
namespace {

using profiles::Seconds;

/// Launches of 4 us, a wait of 30 us, 20 us of a program.
CollectiveProfile habits() {
  CollectiveProfile out;
  out.timings["launched"].launch = 4e-6;
  out.timings["kernel"].wait = 30e-6;
  out.timings["program"].added = 20e-6;
  return out;
}

double microseconds(double call, CallTiming timing, int ranks, int servers = 1) {
  return as_timed(Seconds{call * 1e-6}, timing, ranks, servers, habits()).count() * 1e6;
}

TEST(CallTiming, NamesGoBothWays) {
  for (int i = 0; i < kCallTimings; ++i) {
    const auto timing = static_cast<CallTiming>(i);
    EXPECT_EQ(call_timing_from(name(timing)), timing);
  }
  EXPECT_EQ(call_timing_from("python"), std::nullopt);
}

TEST(CallTiming, SourcesHaveTheirHabit) {
  EXPECT_EQ(call_timing_of_source(""), CallTiming::Graph);
  EXPECT_EQ(call_timing_of_source("nccl-tests style, one node"), CallTiming::Graph);
  EXPECT_EQ(call_timing_of_source("vidur h100_dgx"), CallTiming::Kernel);
  EXPECT_EQ(call_timing_of_source("xla_sm100_8gpu"), CallTiming::Program);
  EXPECT_EQ(call_timing_of_source("my_cluster_allreduce"), CallTiming::Launched);
}

TEST(AsTimed, AGraphShowsTheCallAlone) {
  EXPECT_DOUBLE_EQ(microseconds(5, CallTiming::Graph, 8), 5);
}

TEST(AsTimed, OneThreadLaunchesOnEveryDeviceOfItsNode) {
  EXPECT_DOUBLE_EQ(microseconds(5, CallTiming::Launched, 8), 32);      // 8 * 4
  EXPECT_DOUBLE_EQ(microseconds(5, CallTiming::Launched, 16, 2), 32);  // 8 on each of two
  EXPECT_DOUBLE_EQ(microseconds(5, CallTiming::Launched, 9, 2), 20);   // 5 on the fuller one
  EXPECT_DOUBLE_EQ(microseconds(100, CallTiming::Launched, 8), 100);   // the device is the slower
}

TEST(AsTimed, KernelsOfMoreThanTwoRanksWaitForTheLast) {
  EXPECT_DOUBLE_EQ(microseconds(5, CallTiming::Kernel, 4), 30);
  EXPECT_DOUBLE_EQ(microseconds(5, CallTiming::Kernel, 2), 5);
  EXPECT_DOUBLE_EQ(microseconds(100, CallTiming::Kernel, 4), 100);
}

TEST(AsTimed, ProgramsAddToTheCall) {
  EXPECT_DOUBLE_EQ(microseconds(5, CallTiming::Program, 8), 25);
  EXPECT_DOUBLE_EQ(microseconds(100, CallTiming::Program, 8), 120);
}

TEST(AsTimed, OneRankIsFree) {
  for (int i = 0; i < kCallTimings; ++i) {
    EXPECT_EQ(microseconds(0, static_cast<CallTiming>(i), 1), 0);
  }
}

TEST(AsTimed, TheShippedProfileKnowsAllButGraphs) {
  const Seconds call{1e-6};
  EXPECT_EQ(as_timed(call, CallTiming::Graph, 8, 1), call);
  EXPECT_GT(as_timed(call, CallTiming::Launched, 8, 1), call);
  EXPECT_GT(as_timed(call, CallTiming::Kernel, 8, 1), call);
  EXPECT_GT(as_timed(call, CallTiming::Program, 8, 1), call);
}

}  // namespace
}  // namespace meshplan::planner
