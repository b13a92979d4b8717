// What a command answers with: exit codes, JSON, files, from anywhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/cli/command.h"

namespace {

using namespace meshplan::cli_test;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

const std::string kQuestion = "--model gpt2 --cluster dgx-h100:1/2 --seq-len 1024 --global-batch 8";
const std::string kPredict = "predict " + kQuestion + " --layout tp2,pp1,dp1,mbs2,sp";

Outcome answered(const std::string& line, const Surroundings& where = {}) {
  Outcome outcome = run_meshplan(words(line), where);
  EXPECT_EQ(outcome.code, 0) << line << "\n" << outcome.err;
  return outcome;
}

TEST(Answers, HelpAndVersionGoToStandardOutput) {
  for (const char* line : {"--help", "plan --help", "predict --help", "list --help", "--version"}) {
    const Outcome outcome = answered(line);
    EXPECT_THAT(outcome.out, HasSubstr("meshplan")) << line;
    EXPECT_EQ(outcome.err, "") << line;
  }
}

TEST(Answers, JsonIsOneDocument) {
  for (const std::string& line :
       {"plan " + kQuestion + " --top 2 --json", kPredict + " --json",
        std::string("list models --json"), std::string("list clusters --json"),
        std::string("list devices --json")}) {
    const Outcome outcome = answered(line);
    EXPECT_TRUE(json::accept(outcome.out)) << line;
    EXPECT_EQ(outcome.err, "") << line;
  }
}

TEST(Answers, TermsAddUpToTheStep) {
  const json document = json::parse(answered(kPredict + " --json").out);
  const json& prediction = document.at("plans").at(0).at("prediction");
  double sum = 0;
  for (const auto& [term, seconds] : prediction.at("time").items()) sum += seconds.get<double>();
  const double step = prediction.at("step_seconds");
  EXPECT_NEAR(sum, step, 1e-9 * step);
  // Two devices, eight sequences of 1024 tokens a step.
  EXPECT_NEAR(prediction.at("tokens_per_second").get<double>() * step, 8 * 1024, 1e-6);
}

TEST(Answers, PlansAreSortedAndFit) {
  const json document = json::parse(answered("plan " + kQuestion + " --top 5 --json").out);
  const json& plans = document.at("plans");
  ASSERT_EQ(plans.size(), 5);
  double last = 0;
  for (const json& plan : plans) {
    EXPECT_TRUE(plan.at("fits").get<bool>());
    const double step = plan.at("prediction").at("step_seconds");
    EXPECT_GE(step, last);
    last = step;
  }
  const json& search = document.at("search");
  std::int64_t rejected = 0;
  for (const auto& [reason, count] : search.at("rejected").items()) {
    rejected += count.get<std::int64_t>();
  }
  EXPECT_EQ(search.at("candidates").get<std::int64_t>(),
            search.at("feasible").get<std::int64_t>() + rejected);
  EXPECT_LE(search.at("lower_bound_seconds").get<double>(),
            plans.at(0).at("prediction").at("step_seconds").get<double>());
}

TEST(Answers, FixHoldsInEveryPlan) {
  const json document = json::parse(answered("plan " + kQuestion + " --fix tp2,zero0 --json").out);
  for (const json& plan : document.at("plans")) {
    EXPECT_THAT(plan.at("layout").get<std::string>(), HasSubstr("tp2,"));
  }
}

TEST(Answers, APlanFileIsPredictedWithTheSameFigures) {
  const ScratchFolder folder;
  const Surroundings there{folder.path()};
  answered("plan " + kQuestion + " --top 3 --out plan.json", there);
  const json written = json::parse(text_of(folder.path() / "plan.json"));
  for (std::size_t i = 0; i < written.at("plans").size(); ++i) {
    const Outcome again = answered("predict plan.json --json --plan " + std::to_string(i), there);
    const json& plan = written.at("plans").at(i);
    const json read = json::parse(again.out);
    EXPECT_EQ(read.at("plans").at(0).at("layout"), plan.at("layout"));
    EXPECT_EQ(read.at("plans").at(0).at("prediction"), plan.at("prediction"));
    EXPECT_EQ(read.at("plans").at(0).at("stages"), plan.at("stages"));
    for (const char* key : {"model", "cluster", "workload", "profile"}) {
      EXPECT_EQ(read.at(key), written.at(key)) << key;
    }
  }
  EXPECT_EQ(folder.files(), std::vector<std::string>{"plan.json"});
}

TEST(Answers, WhatJsonPrintsIsAPlanFile) {
  const ScratchFolder folder;
  const std::string printed = answered(kPredict + " --json").out;
  const std::string file = folder.file("printed.json", printed);
  const json again = json::parse(answered("predict " + file + " --json").out);
  EXPECT_EQ(again.at("plans"), json::parse(printed).at("plans"));
}

TEST(Answers, DoNotDependOnFolderOrColour) {
  const ScratchFolder elsewhere;
  const std::string here = answered(kPredict).out;
  EXPECT_EQ(answered(kPredict, {elsewhere.path()}).out, here);
  EXPECT_EQ(answered(kPredict, {"/", {{"NO_COLOR", "1"}}}).out, here);
  EXPECT_EQ(answered(kPredict, {".", {{"TERM", "xterm-256color"}}}).out, here);
  EXPECT_THAT(here, Not(HasSubstr("\033")));
  EXPECT_TRUE(elsewhere.files().empty());
}

TEST(Answers, AnUnwritableStandardOutputIsNoSuccess) {
  // /dev/full accepts nothing.
  const int code =
      std::system((std::string(MESHPLAN_BINARY) + " list models >/dev/full 2>/dev/null").c_str());
  EXPECT_NE(code, 0);
  // More than a buffer: what is lost is lost before the end.
  const std::string plan =
      " plan --model gpt2 --cluster dgx-h100:1 --seq-len 1024 --global-batch 8";
  EXPECT_NE(
      std::system((std::string(MESHPLAN_BINARY) + plan + " --top 20 --json >/dev/full 2>/dev/null")
                      .c_str()),
      0);
}

TEST(AnswerIsNo, AnImpossibleDegreeSaysSo) {
  const Outcome outcome =
      run_meshplan(words("plan --model gpt2 --cluster dgx-h100:1 --seq-len 1024 "
                         "--global-batch 8 --fix tp64"));
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("No layout of 8 devices and 12 layers has what --fix asks"));
}

TEST(AnswerIsNo, NothingFits) {
  // 175 billion parameters take 350 GB in bf16 alone; two devices have 2 x 80 GB.
  const ScratchFolder folder;
  const Outcome outcome = run_meshplan(words("plan --model gpt3-175b --cluster dgx-h100:1/2 "
                                             "--seq-len 2048 --global-batch 8 --out plan.json"),
                                       {folder.path()});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Nothing fits"));
  EXPECT_TRUE(folder.files().empty());
}

TEST(AnswerIsNo, NothingFitsInJson) {
  const Outcome outcome = run_meshplan(words(
      "plan --model gpt3-175b --cluster dgx-h100:1/2 --seq-len 2048 --global-batch 8 --json"));
  EXPECT_EQ(outcome.code, 1);
  const json document = json::parse(outcome.out);
  EXPECT_TRUE(document.at("plans").empty());
  EXPECT_GT(document.at("nearest_miss").at("missing_bytes").get<std::int64_t>(), 0);
}

TEST(AnswerIsNo, ALayoutThatDoesNotFitIsShownWhole) {
  const Outcome outcome =
      run_meshplan(words("predict --model llama-3-70b --cluster dgx-h100:1 --seq-len 8192 "
                         "--global-batch 8 --layout tp8,pp1,dp1,mbs1 --json"));
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  const json plan = json::parse(outcome.out).at("plans").at(0);
  EXPECT_FALSE(plan.at("fits").get<bool>());
  const json& memory = plan.at("prediction").at("memory");
  EXPECT_GT(memory.at("peak_bytes").get<std::int64_t>(),
            memory.at("capacity_bytes").get<std::int64_t>());
}

TEST(AnswerIsNo, MoreRanksThanDevices) {
  const Outcome outcome =
      run_meshplan(words("predict " + kQuestion + " --layout tp2,pp2,dp1,mbs1"));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("4"));
  EXPECT_THAT(outcome.err, HasSubstr("2"));
}

TEST(Predict, ACollectiveOfARackStaysOnItsSwitches) {
  // 72 devices in 18 servers of one NVLink domain. Over NICs of 50 GB/s a device the bus could not
  // be faster than 50 GB/s.
  const Outcome outcome = run_meshplan(
      words("predict --collective all_reduce --bytes 1G --cluster gb200-nvl72:18 --json"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json answer = json::parse(outcome.out);
  EXPECT_EQ(answer.at("ranks"), 72);
  EXPECT_EQ(answer.at("nodes"), 18);
  EXPECT_GT(answer.at("bus_bytes_per_second").get<double>(), 200e9);
}

}  // namespace
