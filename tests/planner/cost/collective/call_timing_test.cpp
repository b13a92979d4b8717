#include "planner/cost/collective/call_timing.h"

#include <gtest/gtest.h>

namespace meshplan::planner {
namespace {

using profiles::Seconds;

/// Launches of 4 us, a wait of 30 us, 20 us of a program; twice the launches and waits on old
/// hosts.
CollectiveProfile habits() {
  CollectiveProfile out;
  out.timings["launched"].launch = 4e-6;
  out.timings["kernel"].wait = 30e-6;
  out.timings["program"].added = 20e-6;
  out.old_host_scale = 2;
  return out;
}

double microseconds(double call, CallTiming timing, int ranks, int servers = 1,
                    bool old_host = false) {
  return as_timed(Seconds{call * 1e-6}, timing, ranks, servers, old_host, habits()).count() * 1e6;
}

TEST(CallTiming, NamesGoBothWays) {
  for (int i = 0; i < kCallTimings; ++i) {
    const auto timing = static_cast<CallTiming>(i);
    EXPECT_EQ(call_timing_from(name(timing)), timing);
  }
  EXPECT_EQ(call_timing_from("python"), std::nullopt);
}

TEST(AsTimed, AGraphShowsTheCallAlone) {
  EXPECT_DOUBLE_EQ(microseconds(5, CallTiming::Graph, 8), 5);
}

TEST(AsTimed, OneThreadLaunchesOnEveryDeviceOfOneNode) {
  EXPECT_DOUBLE_EQ(microseconds(5, CallTiming::Launched, 8), 32);     // 8 * 4
  EXPECT_DOUBLE_EQ(microseconds(100, CallTiming::Launched, 8), 100);  // the device is the slower
}

TEST(AsTimed, OnSeveralNodesEachDeviceHasItsProcess) {
  EXPECT_DOUBLE_EQ(microseconds(3, CallTiming::Launched, 16, 2), 4);
  EXPECT_DOUBLE_EQ(microseconds(5, CallTiming::Launched, 16, 2), 5);
}

TEST(AsTimed, OldHostsLaunchSlower) {
  EXPECT_DOUBLE_EQ(microseconds(5, CallTiming::Launched, 8, 1, true), 64);
  EXPECT_DOUBLE_EQ(microseconds(5, CallTiming::Kernel, 4, 1, true), 60);
  EXPECT_DOUBLE_EQ(microseconds(100, CallTiming::Kernel, 4, 1, true), 100);
  EXPECT_DOUBLE_EQ(microseconds(5, CallTiming::Graph, 8, 1, true), 5);
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
  EXPECT_EQ(as_timed(call, CallTiming::Graph, 8, 1, false), call);
  EXPECT_GT(as_timed(call, CallTiming::Kernel, 8, 1, false), call);
  EXPECT_GT(as_timed(call, CallTiming::Program, 8, 1, false), call);
  const Seconds launched = as_timed(call, CallTiming::Launched, 8, 1, false);
  EXPECT_GT(launched, call);
  EXPECT_GT(as_timed(call, CallTiming::Launched, 8, 1, true), launched);
}

}  // namespace
}  // namespace meshplan::planner
