#include "planner/check/compare.h"

#include <gtest/gtest.h>

#include "tests/support/problems.h"

namespace meshplan::planner {
namespace {

using profiles::Seconds;

/// One small question and two recorded runs.
Suite small_suite() {
  Suite suite;
  suite.questions.push_back({.name = "small",
                             .problem = test::training_problem("gpt2", "dgx-h100:1/2", 1024, 8),
                             .tolerance = 0.02});
  RecordedCases cases{.name = "paper", .tolerance = 0.01};
  for (const char* id : {"a", "b"}) cases.runs.emplace_back().id = id;
  suite.recorded.push_back(cases);
  return suite;
}

/// Figures that somebody might have accepted: 100 ms, errors of -3% and +5%.
Baseline accepted() {
  Baseline out;
  out.questions["small"] = BestPlan{"tp2,pp1,dp1,mbs1", Seconds{0.1}};
  out.recorded["paper"]["a"] = {.time = -0.03, .memory = 0.05, .said_to_run = true};
  out.recorded["paper"]["b"] = {.said_to_run = false, .ran = false};
  return out;
}

/// The verdict on the one figure that differs from accepted().
Verdict verdict_on_change(const Baseline& is, const Baseline& was = accepted()) {
  Verdict out = Verdict::Same;
  int differing = 0;
  for (const Finding& finding : compare(small_suite(), was, is)) {
    if (finding.verdict == Verdict::Same) continue;
    out = finding.verdict;
    ++differing;
  }
  EXPECT_LE(differing, 1);
  return out;
}

Verdict verdict_on_step(double step) {
  Baseline is = accepted();
  is.questions["small"]->step = Seconds{step};
  return verdict_on_change(is);
}

Verdict verdict_on_time_error(std::optional<double> error) {
  Baseline is = accepted();
  is.recorded["paper"]["a"].time = error;
  return verdict_on_change(is);
}

TEST(Compare, EverythingIsTheSameAsItself) {
  // One question; of run a time, memory and verdict; of run b the verdict.
  const auto findings = compare(small_suite(), accepted(), accepted());
  EXPECT_EQ(findings.size(), 5);
  for (const Finding& finding : findings) EXPECT_EQ(finding.verdict, Verdict::Same);
}

TEST(Compare, AStepMayGrowByItsTolerance) {
  EXPECT_EQ(verdict_on_step(0.1019), Verdict::Same);
  EXPECT_EQ(verdict_on_step(0.1021), Verdict::Worse);
  EXPECT_EQ(verdict_on_step(0.0981), Verdict::Same);
  EXPECT_EQ(verdict_on_step(0.0979), Verdict::Better);
}

TEST(Compare, ThatNothingFitsAnyMoreIsWorse) {
  Baseline is = accepted();
  is.questions["small"] = std::nullopt;
  EXPECT_EQ(verdict_on_change(is), Verdict::Worse);
  EXPECT_EQ(verdict_on_change(accepted(), is), Verdict::Better);
  EXPECT_EQ(verdict_on_change(is, is), Verdict::Same);
}

TEST(Compare, TheSizeOfAnErrorIsHeldNotItsSign) {
  EXPECT_EQ(verdict_on_time_error(-0.039), Verdict::Same);
  EXPECT_EQ(verdict_on_time_error(-0.041), Verdict::Worse);
  EXPECT_EQ(verdict_on_time_error(0.041), Verdict::Worse);
  EXPECT_EQ(verdict_on_time_error(0.03), Verdict::Changed);
  EXPECT_EQ(verdict_on_time_error(-0.019), Verdict::Better);
  EXPECT_EQ(verdict_on_time_error(std::nullopt), Verdict::Worse);
}

TEST(Compare, AVerdictThatTurnsWrongIsWorse) {
  Baseline is = accepted();
  is.recorded["paper"]["b"].said_to_run = true;  // it failed when it was measured
  EXPECT_EQ(verdict_on_change(is), Verdict::Worse);
  EXPECT_EQ(verdict_on_change(accepted(), is), Verdict::Better);
}

TEST(Compare, WhatTheBaselineDoesNotKnowFails) {
  Baseline was = accepted();
  was.questions.clear();
  EXPECT_EQ(verdict_on_change(accepted(), was), Verdict::Unknown);
  was = accepted();
  was.recorded["paper"].erase("b");
  EXPECT_EQ(verdict_on_change(accepted(), was), Verdict::Unknown);
  EXPECT_TRUE(Finding{.verdict = Verdict::Unknown}.fails());
}

TEST(Compare, WhatIsAskedNoMoreIsShownAndDoesNotFail) {
  Baseline was = accepted();
  was.questions["dropped"] = BestPlan{"tp1,pp1,dp2,mbs1", Seconds{1}};
  EXPECT_EQ(verdict_on_change(accepted(), was), Verdict::Gone);
  EXPECT_FALSE(Finding{.verdict = Verdict::Gone}.fails());
}

TEST(Compare, AFasterPlanThatTheSearchLostIsWorse) {
  const Suite suite = small_suite();
  const Baseline today = answers({.questions = suite.questions});
  const BestPlan best = *today.questions.at("small");
  // As if today's search had come upon a slower layout only, and the baseline held the best one at
  // just the same time as that.
  Baseline was = accepted();
  was.questions["small"] = BestPlan{best.layout, 1.1 * best.step};
  Baseline is = accepted();
  is.questions["small"] = BestPlan{"tp2,pp1,dp1,mbs1,recompute=full", 1.1 * best.step};
  EXPECT_EQ(verdict_on_change(is, was), Verdict::Worse);
}

TEST(Compare, AnotherLayoutOfTheSameTimeIsAChange) {
  const Suite suite = small_suite();
  const BestPlan best = *answers({.questions = suite.questions}).questions.at("small");
  Baseline was = accepted();
  was.questions["small"] = BestPlan{"tp2,pp1,dp1,mbs1,recompute=full", best.step};
  Baseline is = accepted();
  is.questions["small"] = best;
  EXPECT_EQ(verdict_on_change(is, was), Verdict::Changed);
}

TEST(Baseline, IsReadAsItWasWritten) {
  Baseline written = accepted();
  written.questions["too large"] = std::nullopt;
  const Baseline read =
      read_baseline(profiles::JsonNode::parse(baseline_text(written), "baseline.json"));
  EXPECT_EQ(read.questions.at("small")->layout, "tp2,pp1,dp1,mbs1");
  EXPECT_EQ(read.questions.at("small")->step, Seconds{0.1});
  EXPECT_EQ(read.questions.at("too large"), std::nullopt);
  EXPECT_EQ(read.recorded.at("paper").at("a").time, -0.03);
  EXPECT_EQ(read.recorded.at("paper").at("a").memory, 0.05);
  EXPECT_EQ(read.recorded.at("paper").at("b").said_to_run, false);
  EXPECT_FALSE(read.recorded.at("paper").at("b").ran);
  EXPECT_EQ(baseline_text(read), baseline_text(written));
}

}  // namespace
}  // namespace meshplan::planner
