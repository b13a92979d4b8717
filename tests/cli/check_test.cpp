// `check` as CI uses it: exit codes, what is written, and what is planted is found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>
#include <nlohmann/json.hpp>

#include "tests/cli/command.h"

namespace {

using namespace meshplan::cli_test;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// A suite small enough to be asked often, and its accepted baseline.
class Check : public testing::Test {
 protected:
  Check() {
    const Outcome accepted = check({"--update"});
    EXPECT_EQ(accepted.code, 0) << accepted.err;
  }

  [[nodiscard]] Outcome check(std::vector<std::string> more = {}) const {
    std::vector<std::string> line = {"check", suite_, "--baseline", baseline_};
    line.insert(line.end(), more.begin(), more.end());
    return run_meshplan(line);
  }

  /// Rewrites the baseline with what `change` makes of it.
  template <typename Change>
  void plant(Change change) const {
    json document = json::parse(text_of(baseline_));
    change(document);
    (void)scratch_.file("baseline.json", document.dump());
  }

  ScratchFolder scratch_;
  const std::string suite_ = scratch_.file("suite.json", R"({"schema": "meshplan.suite/1",
    "questions": [{"name": "two <devices>", "model": "gpt2", "cluster": "dgx-h100:1/2",
                   "workload": {"seq_len": 1024, "global_batch": 8}}],
    "recorded": [{"name": "Qi", "runs": ")" SOURCE_DIR R"(/tests/check/qi-2023.json"}]})");
  const std::string baseline_ = (scratch_.path() / "baseline.json").string();
};

TEST_F(Check, PassesOnWhatWasAccepted) {
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, 0) << outcome.out;
  EXPECT_THAT(outcome.out, HasSubstr("two <devices>"));
  EXPECT_THAT(outcome.out, HasSubstr(" 0 worse,"));
}

TEST_F(Check, ASlowerPlanFails) {
  // The accepted step was 10% shorter than what is predicted now.
  plant([](json& baseline) {
    auto& step = baseline["questions"]["two <devices>"]["step_seconds"];
    step = 0.9 * step.get<double>();
  });
  const std::string before = text_of(baseline_);
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("+11.1%"));  // 1 / 0.9 - 1
  EXPECT_THAT(outcome.out, HasSubstr("worse"));
  EXPECT_EQ(text_of(baseline_), before) << "a check never writes the baseline";
}

TEST_F(Check, ASlowerDeviceFails) {
  // The same GPU at half the peak and half the bandwidth.
  json device = json::parse(text_of(SOURCE_DIR "/profiles/data/devices/h100-sxm-80gb.json"));
  for (auto& peak : device["peak_flops_per_second"]) {
    if (peak.is_number()) peak = 0.5 * peak.get<double>();
  }
  auto& bandwidth = device["memory_bandwidth_bytes_per_second"];
  bandwidth = 0.5 * bandwidth.get<double>();
  std::filesystem::create_directories(scratch_.path() / "profiles/devices");
  (void)scratch_.file("profiles/devices/h100-sxm-80gb.json", device.dump());
  const Outcome outcome = check({"--profiles", (scratch_.path() / "profiles").string()});
  EXPECT_EQ(outcome.code, 1) << outcome.out << outcome.err;
}

TEST_F(Check, AWorseErrorFailsAndABetterOneDoesNot) {
  plant([](json& baseline) { baseline["recorded"]["Qi"]["interleaved"]["time_error"] = 0; });
  json was = json::parse(check({"--json"}).out);
  const bool exact = was["worse"] == 0;
  EXPECT_FALSE(exact) << "the prediction of this run is 2% off and more";
  plant([](json& baseline) { baseline["recorded"]["Qi"]["interleaved"]["time_error"] = 0.5; });
  const Outcome better = check({"--json"});
  EXPECT_EQ(better.code, 0) << better.out;
  EXPECT_EQ(json::parse(better.out)["better"], 1);
}

TEST_F(Check, AQuestionWithoutBaselineFailsUntilItIsTakenUp) {
  plant([](json& baseline) { baseline["questions"].clear(); });
  EXPECT_EQ(check().code, 1);
  const Outcome update = check({"--update"});
  EXPECT_EQ(update.code, 0);
  EXPECT_THAT(update.out, HasSubstr("unknown"));
  EXPECT_EQ(check().code, 0);
}

TEST_F(Check, UpdateWritesTheSameBaselineAgain) {
  const std::string before = text_of(baseline_);
  EXPECT_EQ(check({"--update"}).code, 0);
  EXPECT_EQ(text_of(baseline_), before);
  EXPECT_THAT(scratch_.files(), ElementsAre("baseline.json", "suite.json"));
}

TEST_F(Check, JunitIsWrittenAlsoWhenTheGateFails) {
  plant([](json& baseline) { baseline["questions"].clear(); });
  EXPECT_EQ(check({"--junit", (scratch_.path() / "found.xml").string()}).code, 1);
  // Read by somebody else's parser, which throws on what is not well-formed.
  boost::property_tree::ptree xml;
  read_xml((scratch_.path() / "found.xml").string(), xml);
  const auto& suites = xml.get_child("testsuites");
  EXPECT_EQ(suites.get<int>("<xmlattr>.failures"), 1);
  const auto& part = suites.get_child("testsuite");
  EXPECT_EQ(part.get<std::string>("<xmlattr>.name"), "questions");
  EXPECT_EQ(part.get<std::string>("testcase.<xmlattr>.name"), "two <devices>, best step");
  EXPECT_EQ(part.get<std::string>("testcase.failure.<xmlattr>.type"), "unknown");
}

TEST_F(Check, RefusesWhatIsNoSuiteOrBaseline) {
  EXPECT_EQ(run_meshplan({"check", suite_}).code, 2);
  EXPECT_EQ(run_meshplan({"check", suite_, "--baseline", suite_}).code, 2);
  EXPECT_EQ(run_meshplan({"check", suite_, "--baseline", "no-such-file.json"}).code, 2);
  EXPECT_EQ(run_meshplan({"check", baseline_, "--baseline", baseline_}).code, 2);
}

}  // namespace
