// Plans executed on CPU ranks, and the machine measured: the commands `run` and `profile`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/cli/command.h"
#include "tests/cli/tiny_plan.h"

namespace {

using namespace meshplan::cli_test;
using nlohmann::json;
using testing::HasSubstr;

class Run : public testing::Test {
 protected:
  std::string plan(const std::string& layout, const std::string& more = "--dtype fp32") const {
    return tiny_plan(scratch, layout, more);
  }
  static Outcome ran(const std::string& arguments) {
    return run_meshplan(words("run " + arguments));
  }
  static json answer(const std::string& arguments) {
    const Outcome outcome = ran(arguments + " --json --steps 3");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return json::parse(outcome.out);
  }
  ScratchFolder scratch;
};

void expect_terms_add_up(const json& side) {
  double sum = 0;
  for (const auto& [term, seconds] : side.at("time").items()) sum += seconds.get<double>();
  const double step = side.at("step_seconds");
  EXPECT_GT(step, 0);
  EXPECT_NEAR(sum, step, 1e-9 * step);
}

/// `losses`: of the steps that all ranks ran.
void expect_whole_answer(const json& document, int ranks, std::size_t losses = 3) {
  expect_terms_add_up(document.at("predicted"));
  expect_terms_add_up(document.at("measured"));
  const double predicted = document.at("predicted").at("step_seconds");
  const double measured = document.at("measured").at("step_seconds");
  EXPECT_NEAR(document.at("error").get<double>(), predicted / measured - 1, 1e-9);
  EXPECT_EQ(document.at("memory").size(), ranks);
  EXPECT_EQ(document.at("steps"), 3);
  EXPECT_EQ(document.at("profile").at("name"), "host-cpu");
  const json& loss = document.at("loss");
  ASSERT_EQ(loss.size(), losses);
  // A fresh model of small weights is about as good as guessing among 61 words: ln 61 = 4.11.
  EXPECT_NEAR(loss[0].get<double>(), std::log(61.0), 0.2);
  if (ranks > 1) {
    EXPECT_LT(document.at("one_rank").at("relative_difference").get<double>(), 1e-5);
  }
}

TEST_F(Run, OneRankComparesEveryTerm) {
  const json document = answer(plan("tp1,pp1,dp1,mbs2"));
  EXPECT_EQ(document.at("mode"), "parallel");
  EXPECT_EQ(document.at("communication"), "measured");
  expect_whole_answer(document, 1);
  EXPECT_EQ(document.count("one_rank"), 0U);
}

TEST_F(Run, ReplayTimesOneRankOfAKindAndChecksTheLossOfAll) {
  const json document = answer(plan("tp2,pp2,dp2,mbs1,sp,zero1") + " --mode replay");
  EXPECT_EQ(document.at("mode"), "replay");
  EXPECT_EQ(document.at("communication"), "modelled");
  expect_whole_answer(document, 8, 1);
  EXPECT_LT(document.at("executed").at("ranks").size(), 8U);
  EXPECT_EQ(document.at("executed").at("of_micro_batches"), 4);
  // What is modelled is the prediction itself, added up at other moments of the step.
  const double predicted =
      document.at("predicted").at("time").at("tp_communication_seconds").get<double>();
  EXPECT_NEAR(document.at("measured").at("time").at("tp_communication_seconds").get<double>(),
              predicted, 1e-9 * predicted);
}

TEST_F(Run, ParallelAndReplayComputeTheSameLosses) {
  const std::string file = plan("tp1,pp2,dp1,mbs1");
  const Outcome parallel = ran(file + " --mode parallel --json --steps 3");
  if (parallel.code == 1) GTEST_SKIP() << "one core: " << parallel.err;
  ASSERT_EQ(parallel.code, 0) << parallel.err;
  const json at_once = json::parse(parallel.out);
  expect_whole_answer(at_once, 2);
  // Sums run in a fixed order: the same bits.
  EXPECT_EQ(at_once.at("loss")[0], answer(file + " --mode replay").at("loss")[0]);
}

TEST_F(Run, MemoryIsPredictedWithinAFewPercent) {
  const json document = answer(plan("tp1,pp2,dp1,mbs2") + " --mode replay");
  for (const json& rank : document.at("memory")) {
    EXPECT_NEAR(rank.at("error").get<double>(), 0, 0.05) << rank;
  }
}

TEST_F(Run, WritesWhatWasMeasured) {
  const std::string out = (scratch.path() / "measurement.json").string();
  const std::string trace = (scratch.path() / "trace.json").string();
  const Outcome outcome =
      ran(plan("tp1,pp2,dp2,mbs1") + " --mode replay --out " + out + " --trace " + trace);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("predicted"));
  EXPECT_THAT(outcome.out, HasSubstr("one rank alone"));
  EXPECT_THAT(outcome.out, HasSubstr("of 4 micro-batches a step; what is like them was not run"));
  EXPECT_EQ(json::parse(text_of(out)).at("schema"), "meshplan.measurement/1");
  EXPECT_FALSE(json::parse(text_of(trace)).at("traceEvents").empty());
}

TEST_F(Run, AnErrorBeyondTheToleranceIsANo) {
  const std::string file = plan("tp1,pp1,dp1,mbs2");
  // No prediction is exact to a millionth of a percent, none is off by a factor of a million.
  const Outcome strict = ran(file + " --steps 2 --tolerance 0.000001%");
  EXPECT_EQ(strict.code, 1);
  EXPECT_THAT(strict.err, HasSubstr("tolerance"));
  EXPECT_THAT(strict.out, HasSubstr("predicted"));
  EXPECT_EQ(ran(file + " --steps 2 --tolerance 100000000%").code, 0);
}

TEST_F(Run, SaysInOneLineWhatThisMachineCannot) {
  const Outcome ranks = ran(plan("tp4,pp2,dp2,mbs1,sp") + " --mode parallel");
  if (ranks.code == 0) GTEST_SKIP() << "a machine of 16 cores";
  EXPECT_EQ(ranks.code, 1);
  EXPECT_THAT(ranks.err, HasSubstr("16 ranks in parallel"));
  EXPECT_EQ(ranks.out, "");

  const std::string path = (scratch.path() / "large.json").string();
  const Outcome predicted = run_meshplan(
      words("predict --model gpt3-175b --cluster localhost --dtype fp32 --framework embedded "
            "--seq-len 128 --global-batch 1 --layout tp1,pp1,dp1,mbs1 --out " +
            path));
  ASSERT_EQ(predicted.code, 1);  // does not fit
  const Outcome large = ran(path);
  EXPECT_EQ(large.code, 1);
  EXPECT_THAT(large.err, HasSubstr("this machine has"));
}

TEST_F(Run, RefusesWhatIsWrong) {
  const std::string file = plan("tp1,pp1,dp1,mbs2");
  struct Case {
    std::string arguments;
    int code;
    const char* says;
  };
  json other = json::parse(text_of(file));
  other["schema"] = "meshplan.plan/9";
  const std::string future = scratch.file("future.json", other.dump());
  const std::string broken = scratch.file("broken.json", "{\"schema\": \"meshplan.plan/1\"");
  for (const Case& wrong : std::vector<Case>{{file + " --mode partitioned", 2, "--mode"},
                                             {file + " --mode both", 2, "--mode"},
                                             {file + " --backend cuda", 3, "GPU engine"},
                                             {file + " --backend tpu", 2, "--backend"},
                                             {file + " --steps 1", 2, "--steps"},
                                             {file + " --plan 1", 2, "--plan"},
                                             {file + " --tolerance much", 2, "--tolerance"},
                                             {file + " --timeout 0", 2, "--timeout"},
                                             {file + " --steps 1000000 --out no/m", 2, "no/m"},
                                             {file + " --steps 1000000 --trace .", 2, "."},
                                             {future, 2, "schema"},
                                             {broken, 2, "broken.json"},
                                             {"nowhere.json", 2, "nowhere.json"},
                                             {"", 2, "plan"}}) {
    const Outcome outcome = ran(wrong.arguments);
    EXPECT_EQ(outcome.code, wrong.code) << wrong.arguments << "\n" << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(wrong.says)) << wrong.arguments;
    EXPECT_EQ(outcome.out, "") << wrong.arguments;
  }
}

TEST_F(Run, RefusesWhatTheExecutorDoesNotRun) {
  const Outcome half = ran(plan("tp1,pp1,dp1,mbs2", "--dtype bf16"));
  EXPECT_EQ(half.code, 2);
  EXPECT_THAT(half.err, HasSubstr("fp32 only"));
}

TEST_F(Run, AStalledRankEndsTheRun) {
  // No rank can be quick enough for a nanosecond.
  const Outcome outcome = ran(plan("tp2,pp1,dp1,mbs2") + " --mode replay --timeout 1e-9");
  EXPECT_EQ(outcome.code, 3) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("rank 0"));
}

TEST_F(Run, CtrlCLeavesWholeFiles) {
  const std::string file = plan("tp1,pp1,dp1,mbs2");
  const std::string out = scratch.file("measurement.json", "the one before");
  const std::vector<std::string> before = scratch.files();
  Running run({MESHPLAN_BINARY, "run", file, "--steps", "1000000", "--no-check", "--out", out}, {});
  // Under way once it has read the plan and started its rank: two threads.
  const std::filesystem::path threads = "/proc/" + std::to_string(run.process()) + "/task";
  const auto count = [&] {
    std::error_code none;
    return std::distance(std::filesystem::directory_iterator(threads, none), {});
  };
  const auto begin = std::chrono::steady_clock::now();
  while (count() < 2) {
    ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ASSERT_EQ(::kill(run.process(), SIGINT), 0);
  EXPECT_EQ(run.outcome().code, 130);
  EXPECT_EQ(text_of(out), "the one before");
  EXPECT_EQ(scratch.files(), before);
}

TEST(Profile, FitNeedsTablesAndNeverOverwrites) {
  const ScratchFolder scratch;
  const std::string there = scratch.file("there.json", "{}");
  const std::string table = scratch.file("gemm_x.csv", "dtype,m,n,k,seconds\n");
  const std::string ask = "profile fit " + table + " --device h100 --out ";
  const Outcome existing = run_meshplan(words(ask + there));
  EXPECT_EQ(existing.code, 2);
  EXPECT_THAT(existing.err, HasSubstr("--force"));
  EXPECT_EQ(text_of(there), "{}");
  EXPECT_EQ(run_meshplan(words(ask + (scratch.path() / "new.json").string())).code, 2);  // no rows
  EXPECT_EQ(run_meshplan(words("profile fit --device h100 --out x.json")).code, 2);
  EXPECT_EQ(run_meshplan({"profile"}).code, 2);
  EXPECT_EQ(run_meshplan(words("profile --backend cuda --out p")).code, 3);
}

TEST(Profile, IsFoundByThePredictionsOfThisMachine) {
  const ScratchFolder scratch;
  const std::string folder = (scratch.path() / "own").string();
  const Outcome measured = run_meshplan(words("profile --brief --out " + folder));
  ASSERT_EQ(measured.code, 0) << measured.err;
  const Outcome again = run_meshplan(words("profile --brief --out " + folder));
  EXPECT_EQ(again.code, 2);
  EXPECT_THAT(again.err, HasSubstr("--force"));

  const Outcome predicted = run_meshplan(
      words("predict --model gpt2 --cluster localhost --dtype fp32 --framework embedded --seq-len "
            "128 --global-batch 2 --layout tp1,pp1,dp1,mbs1 --json --profiles " +
            folder));
  ASSERT_EQ(predicted.code, 0) << predicted.err;
  const json profile = json::parse(predicted.out).at("profile");
  EXPECT_EQ(profile.at("sha256").get<std::string>().size(), 64U);
  EXPECT_THAT(profile.at("provenance").get<std::string>(), HasSubstr("measured on"));
}

}  // namespace
