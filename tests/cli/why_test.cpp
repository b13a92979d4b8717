// The answers to "why", "what if" and "how many", from the outside.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tests/cli/command.h"

namespace {

using namespace meshplan::cli_test;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

const std::string kQuestion = "--model gpt2 --cluster dgx-h100:1 --seq-len 1024 --global-batch 64";

Outcome answered(const std::string& line, int code = 0, const Surroundings& where = {}) {
  Outcome outcome = run_meshplan(words(line), where);
  EXPECT_EQ(outcome.code, code) << line << "\n" << outcome.err;
  return outcome;
}

std::string refused(const std::string& line) {
  const Outcome outcome = answered(line, 2);
  EXPECT_EQ(outcome.out, "");
  return outcome.err;
}

TEST(Explain, AnIllegalLayoutIsExplainedAndNotRefused) {
  const json document =
      json::parse(answered("explain " + kQuestion + " --layout tp5,pp1,dp1,mbs3 --json").out);
  EXPECT_FALSE(document.at("runs").get<bool>());
  EXPECT_FALSE(document.contains("prediction"));
  // 12 heads = 2 * 5 + 2; 64 sequences = 21 * 3 + 1.
  bool heads = false, batch = false;
  for (const json& failure : document.at("failing")) {
    if (failure.at("rule") == "heads_by_tp") heads = failure.at("missing") == 2;
    if (failure.at("rule") == "batch_by_microbatch") batch = failure.at("missing") == 1;
  }
  EXPECT_TRUE(heads);
  EXPECT_TRUE(batch);
  // The nearest layout runs: predict says so too.
  answered("predict " + kQuestion + " --layout " +
           document.at("nearest").at("layout").get<std::string>());
}

TEST(Explain, OnlyAnUnreadableLayoutIsRefused) {
  EXPECT_THAT(refused("explain " + kQuestion + " --layout tpp8,pp1,dp1"), HasSubstr("tpp"));
  EXPECT_THAT(refused("explain " + kQuestion), HasSubstr("--layout"));
}

TEST(Explain, StandsWhereThePlanSays) {
  const json best = json::parse(answered("plan " + kQuestion + " --top 2 --json").out);
  const json& second = best.at("plans").at(1);
  const json why = json::parse(answered("explain " + kQuestion + " --json --layout " +
                                        second.at("layout").get<std::string>())
                                   .out);
  EXPECT_TRUE(why.at("runs").get<bool>());
  EXPECT_EQ(why.at("standing").at("best"), best.at("plans").at(0).at("layout"));
  EXPECT_EQ(why.at("standing").at("difference"), second.at("explanation").at("difference"));
  EXPECT_EQ(why.at("standing").at("why"), second.at("explanation").at("why"));
  EXPECT_EQ(why.at("standing").at("order_chance"), second.at("explanation").at("order_chance"));
  EXPECT_GT(why.at("standing").at("order_chance").get<double>(), 0.5);
  double sum = 0;
  for (const auto& [term, seconds] : why.at("standing").at("difference").items()) {
    sum += seconds.get<double>();
  }
  EXPECT_NEAR(sum,
              why.at("standing").at("step_seconds").get<double>() -
                  why.at("standing").at("best_step_seconds").get<double>(),
              1e-9);
}

TEST(Explain, SaysHowLikelyARunAgreesOnlyOfALayoutThatRuns) {
  const std::string asked =
      "explain --model llama-3-8b --cluster dgx-h100:1 --seq-len 8192 "
      "--global-batch 64 --layout ";
  const std::string chance = "a run puts the two in this order with a chance of ";
  EXPECT_THAT(answered(asked + "tp1,pp1,dp8,mbs1,zero3").out, HasSubstr(chance));
  EXPECT_THAT(answered(asked + "tp1,pp1,dp8,mbs1").out, Not(HasSubstr(chance)));  // does not fit
}

TEST(Plan, OfEachSetOfDegreesTheBestLayoutWhereAsked) {
  // The default ten are layouts of few degrees; with --distinct degrees no two share theirs, and
  // the best is the same.
  const auto degrees = [](const json& plan) {
    std::string out;
    std::istringstream layout(plan.at("layout").get<std::string>());
    for (std::string key; std::getline(layout, key, ',');) {
      for (const char* degree : {"tp", "pp", "dp", "cp", "ep", "etp"}) {
        if (key.substr(0, key.find_first_of("0123456789=")) == degree &&
            key.find('=') > key.size()) {
          out += key + ",";
        }
      }
    }
    return out;
  };
  const json all = json::parse(answered("plan " + kQuestion + " --json").out);
  const json each = json::parse(answered("plan " + kQuestion + " --distinct degrees --json").out);
  std::set<std::string> seen;
  for (const json& plan : each.at("plans")) EXPECT_TRUE(seen.insert(degrees(plan)).second) << plan;
  // 8 devices, 12 heads: tp1 with pp 1, 2, 4, 8; tp2 with 1, 2, 4; tp4 with 1, 2.
  EXPECT_EQ(seen.size(), 9U);
  EXPECT_EQ(each.at("plans").at(0).at("layout"), all.at("plans").at(0).at("layout"));
  EXPECT_EQ(each.at("search").at("candidates"), all.at("search").at("candidates"));
}

TEST(WhatIf, SaysWhatChangesInTheBestPlan) {
  const std::string slower = " --set intra_node.bytes_per_second_per_device=1e9";
  const json document = json::parse(answered("plan " + kQuestion + " --json" + slower).out);
  const json plain = json::parse(answered("plan " + kQuestion + " --json").out);
  const json& change = document.at("what_if");
  EXPECT_EQ(change.at("settings").at(0).at("from"), "4.5e+11");
  EXPECT_EQ(change.at("settings").at(0).at("to"), "1e+09");
  EXPECT_EQ(change.at("before").at("layout"), plain.at("plans").at(0).at("layout"));
  EXPECT_EQ(change.at("after").at("layout"), document.at("plans").at(0).at("layout"));
  EXPECT_GE(change.at("step_change").get<double>(), 0);  // a slower link never helps
  EXPECT_FALSE(plain.contains("what_if"));
}

TEST(WhatIf, ACollectiveMayBeAskedToo) {
  const std::string asked =
      "predict --collective all_reduce --bytes 1G --cluster dgx-h100:1 --json";
  const json plain = json::parse(answered(asked).out);
  const json four = json::parse(answered(asked + " --set nodes=4").out);
  EXPECT_EQ(plain.at("ranks"), 8);
  EXPECT_EQ(four.at("ranks"), 32);
}

TEST(WhatIf, APlanFileMayBeAskedToo) {
  const ScratchFolder folder;
  const Surroundings there{folder.path()};
  answered("plan " + kQuestion + " --top 1 --out plan.json", 0, there);
  const json plain = json::parse(answered("predict plan.json --json", 0, there).out);
  const json slower = json::parse(
      answered("predict plan.json --json --set device.memory_bandwidth_bytes_per_second=1e12", 0,
               there)
          .out);
  EXPECT_GT(slower.at("plans").at(0).at("prediction").at("step_seconds"),
            plain.at("plans").at(0).at("prediction").at("step_seconds"));
}

TEST(WhatIf, RefusesWhatIsNoFact) {
  EXPECT_THAT(refused("plan " + kQuestion + " --set node=2"), HasSubstr("did you mean 'nodes'"));
  EXPECT_THAT(refused("plan " + kQuestion + " --set nodes=2 --set nodes=3"), HasSubstr("twice"));
  EXPECT_THAT(refused("plan " + kQuestion + " --set nodes"), HasSubstr("KEY=VALUE"));
  EXPECT_THAT(refused("explain " + kQuestion + " --layout tp1,pp1,dp8,mbs1 --set device=h1000"),
              HasSubstr("h100"));
  EXPECT_THAT(refused("plan " + kQuestion + " --set device=l40s"), HasSubstr("NVLink"));
}

TEST(HowMany, TheSmallestSizeIsAPlanFile) {
  const ScratchFolder folder;
  const Surroundings there{folder.path()};
  const std::string question =
      "plan " + kQuestion + " --tokens 1e11 --deadline-days 1 --json --out plan.json";
  const json document = json::parse(answered(question, 0, there).out);
  const json& fleet = document.at("fleet");
  // 1e11 / 65,536 tokens a step = 1,525,878.9
  EXPECT_EQ(fleet.at("steps"), 1'525'879);
  EXPECT_EQ(document.at("cluster").at("nodes"), fleet.at("chosen_nodes"));
  EXPECT_LE(fleet.at("steps").get<double>() *
                document.at("plans").at(0).at("prediction").at("step_seconds").get<double>(),
            86400);
  answered("predict plan.json", 0, there);
}

TEST(HowMany, NoneIsAnAnswer) {
  const Outcome outcome =
      answered("plan " + kQuestion + " --tokens 1e15 --deadline-days 1 --out plan.json", 1);
  EXPECT_THAT(outcome.out, HasSubstr("No size that was tried meets it"));
  EXPECT_THAT(outcome.out, HasSubstr("Fastest"));
}

TEST(HowMany, RefusesHalfAQuestion) {
  EXPECT_THAT(refused("plan " + kQuestion + " --tokens 1e9"), HasSubstr("--deadline-days"));
  EXPECT_THAT(refused("plan " + kQuestion + " --deadline-days 30"), HasSubstr("--tokens"));
  EXPECT_THAT(refused("plan " + kQuestion + " --deadline-days 0 --tokens 1e9"),
              HasSubstr("above 0"));
  EXPECT_THAT(refused("plan " + kQuestion + " --deadline-days 1 --tokens 1e9 --max-dollars 5"),
              HasSubstr("--dollars-per-gpu-hour"));
  EXPECT_THAT(refused("plan " + kQuestion + " --max-dollars 5"), HasSubstr("--deadline-days"));
}

}  // namespace
