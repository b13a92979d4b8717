#include "planner/check/suite.h"

#include <gtest/gtest.h>

#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

Suite read(const std::string& text) {
  static const profiles::DataFiles files;
  return read_suite(profiles::JsonNode::parse(text, "suite.json"), SOURCE_DIR "/tests/check",
                    files);
}

/// What a reader says of a suite with this one question or set of recorded runs.
std::string refusal(const std::string& questions, const std::string& recorded = "") {
  try {
    read(R"({"schema": "meshplan.suite/1", "questions": [)" + questions + R"(], "recorded": [)" +
         recorded + "]}");
  } catch (const profiles::InputError& error) {
    return error.what();
  }
  return "";
}

const std::string kQuestion = R"({"name": "q", "model": "gpt2", "cluster": "dgx-h100:2",
  "workload": {"seq_len": 1024, "global_batch": 32}})";

TEST(Suite, ReadsWhatTheCommandLineWouldSay) {
  const Suite suite = read(R"({"schema": "meshplan.suite/1",
    "questions": [{"name": "q", "model": "gpt2", "cluster": "dgx-h100:2", "fix": "tp2",
                   "framework": "megatron", "tolerance": 0.05,
                   "workload": {"seq_len": 1024, "global_batch": 32, "dtype": "fp16"}}],
    "recorded": [{"name": "Qi", "runs": "qi-2023.json"}]})");
  ASSERT_EQ(suite.questions.size(), 1);
  const Question& question = suite.questions.front();
  EXPECT_EQ(question.problem.model.layers, 12);
  EXPECT_EQ(question.problem.cluster.devices(), 16);
  EXPECT_EQ(question.problem.workload.global_batch, 32);
  EXPECT_EQ(question.problem.workload.data_type, profiles::DataType::Fp16);
  EXPECT_TRUE(question.problem.framework.known);
  EXPECT_TRUE(question.fixed.has("tp"));
  EXPECT_EQ(question.tolerance, 0.05);
  ASSERT_EQ(suite.recorded.size(), 1);
  EXPECT_EQ(suite.recorded.front().runs.size(), 4);
}

TEST(Suite, RefusesWhatItWouldLeaveOut) {
  EXPECT_EQ(refusal(kQuestion), "");
  EXPECT_NE(refusal(""), "");                           // nothing to hold
  EXPECT_NE(refusal(kQuestion + "," + kQuestion), "");  // a name twice
  EXPECT_NE(refusal(R"({"name": "q", "model": "gpt9", "cluster": "dgx-h100:2",
                        "workload": {"seq_len": 1024, "global_batch": 32}})"),
            "");
  EXPECT_NE(refusal(R"({"name": "q", "model": "gpt2", "cluster": "dgx-h100:2", "fixed": "tp2",
                        "workload": {"seq_len": 1024, "global_batch": 32}})"),
            "");
  EXPECT_NE(refusal("", R"({"name": "r", "runs": "no-such-file.json"})"), "");
  EXPECT_NE(refusal("", R"({"name": "r", "runs": "qi-2023.json", "tolerance": 1.5})"), "");
}

}  // namespace
}  // namespace meshplan::planner
