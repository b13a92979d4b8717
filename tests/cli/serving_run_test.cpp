// Plans that serve, executed on CPU ranks: `run` of what `predict --inference` wrote.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "tests/cli/command.h"

namespace {

using namespace meshplan::cli_test;
using nlohmann::json;
using testing::HasSubstr;

constexpr const char* kGpt = R"({"model_type": "gpt2", "n_layer": 2, "n_embd": 32, "n_head": 4,
  "n_positions": 24, "vocab_size": 61, "activation_function": "gelu_new"})";
/// Two key heads of eight.
constexpr const char* kLlama = R"({"model_type": "llama", "num_hidden_layers": 2,
  "hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48,
  "max_position_embeddings": 64, "vocab_size": 61, "tie_word_embeddings": false})";

class ServingRun : public testing::Test {
 protected:
  /// A file of `predict --inference` on a machine of 16 devices, whatever this one has.
  std::string plan(const std::string& layout, const std::string& load = "--batch 4",
                   const std::string& more = "--dtype fp32 --engine embedded",
                   const char* config = kGpt) const {
    const std::string model = scratch.file("tiny.json", config);
    const std::string path = (scratch.path() / "serving.json").string();
    const Outcome outcome =
        run_meshplan(words("predict --inference --model " + model +
                           " --cluster localhost --set devices_per_node=16 --prompt 8 --output 6 " +
                           load + " " + more + " --layout " + layout + " --out " + path));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return path;
  }
  static Outcome ran(const std::string& arguments) {
    return run_meshplan(words("run " + arguments));
  }
  ScratchFolder scratch;
};

void expect_parts_add_up(const json& step) {
  double sum = 0;
  for (const auto& [part, seconds] : step.items()) {
    if (part != "step_seconds") sum += seconds.get<double>();
  }
  EXPECT_GT(sum, 0);
  EXPECT_NEAR(sum, step.at("step_seconds").get<double>(), 1e-9 * sum);
}

void expect_whole_answer(const json& document, int ranks, int requests) {
  for (const char* side : {"predicted", "measured"}) {
    expect_parts_add_up(document.at(side).at("decode_step"));
    expect_parts_add_up(document.at(side).at("prompt_step"));
    EXPECT_GT(document.at(side).at("ttft_seconds").get<double>(), 0);
    EXPECT_GT(document.at(side).at("tpot_seconds").get<double>(), 0);
  }
  const double predicted = document.at("predicted").at("duration_seconds");
  const double measured = document.at("measured").at("duration_seconds");
  EXPECT_NEAR(document.at("error").get<double>(), predicted / measured - 1, 1e-9);
  EXPECT_EQ(document.at("requests"), requests);
  EXPECT_EQ(document.at("memory").size(), ranks);
  for (const json& rank : document.at("memory")) {
    // The cache is what the model says, to the byte.
    EXPECT_EQ(rank.at("predicted").at("cache_bytes"), rank.at("measured").at("cache_bytes"));
    EXPECT_GT(rank.at("measured").at("weights_bytes").get<double>(), 0);
  }
  if (ranks > 1) {
    EXPECT_EQ(document.at("one_rank").count("first_difference"), 0U) << document.at("one_rank");
    EXPECT_LT(document.at("one_rank").at("logit_difference").get<double>(), 1e-4);
  }
}

TEST_F(ServingRun, OneRankComparesEveryPart) {
  const Outcome outcome = ran(plan("tp1,pp1,dp1") + " --steps 2 --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json document = json::parse(outcome.out);
  expect_whole_answer(document, 1, 4);
  EXPECT_EQ(document.count("one_rank"), 0U);
  // One step reads the prompts and gives the first tokens, five more the others.
  EXPECT_EQ(document.at("steps"), 6);
}

TEST_F(ServingRun, EveryAxisGivesTheTokensOfOneRank) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "one core";
  for (const char* config : {kGpt, kLlama}) {
    for (const char* layout : {"tp2,pp1,dp1", "tp1,pp2,dp1", "tp1,pp1,dp2"}) {
      for (const char* load : {"--batch 4", "--concurrency 2"}) {
        const std::string file = plan(layout, load, "--dtype fp32 --engine embedded", config);
        const Outcome outcome = ran(file + " --steps 2 --json");
        ASSERT_EQ(outcome.code, 0) << layout << " " << load << "\n" << outcome.err;
        const json document = json::parse(outcome.out);
        // Ten requests a user.
        expect_whole_answer(document, 2, load == std::string("--batch 4") ? 4 : 20);
        EXPECT_EQ(document.at("one_rank").at("same_tokens").get<int>() > 0, true);
      }
    }
  }
}

TEST_F(ServingRun, ReplayServesOnMoreRanksThanThereAreCores) {
  const Outcome outcome = ran(plan("tp2,pp2,dp2") + " --mode replay --steps 2 --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json document = json::parse(outcome.out);
  EXPECT_EQ(document.at("communication"), "modelled");
  expect_whole_answer(document, 8, 4);
  // What is modelled is the prediction itself.
  for (const char* step : {"decode_step", "prompt_step"}) {
    const double predicted =
        document.at("predicted").at(step).at("communication_seconds").get<double>();
    EXPECT_NEAR(document.at("measured").at(step).at("communication_seconds").get<double>(),
                predicted, 1e-9 * predicted);
  }
}

TEST_F(ServingRun, WritesWhatWasMeasured) {
  const std::string out = (scratch.path() / "served.json").string();
  const std::string trace = (scratch.path() / "trace.json").string();
  const Outcome outcome =
      ran(plan("tp1,pp1,dp1") + " --steps 2 --out " + out + " --trace " + trace);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* says : {"predicted", "time to the first token", "products with weights",
                           "memory by rank", "24 tokens in 4 answers"}) {
    EXPECT_THAT(outcome.out, HasSubstr(says));
  }
  const json document = json::parse(text_of(out));
  EXPECT_EQ(document.at("schema"), "meshplan.served/1");
  EXPECT_EQ(document.at("each_step").size(), 6U);
  ASSERT_EQ(document.at("answers").size(), 4U);
  for (const json& answer : document.at("answers")) EXPECT_EQ(answer.size(), 6U);
  EXPECT_FALSE(json::parse(text_of(trace)).at("traceEvents").empty());
}

TEST_F(ServingRun, AnErrorBeyondTheToleranceIsANo) {
  const std::string file = plan("tp1,pp1,dp1");
  // No prediction is exact to a millionth of a percent, none is off by a factor of a million.
  const Outcome strict = ran(file + " --steps 2 --tolerance 0.000001%");
  EXPECT_EQ(strict.code, 1);
  EXPECT_THAT(strict.err, HasSubstr("tolerance"));
  EXPECT_THAT(strict.out, HasSubstr("predicted"));
  EXPECT_EQ(ran(file + " --steps 2 --tolerance 100000000%").code, 0);
}

TEST_F(ServingRun, RefusesInOneLine) {
  struct Case {
    std::string file, arguments;
    int code;
    const char* says;
  };
  const std::string good = plan("tp1,pp1,dp1");
  json other = json::parse(text_of(good));
  other["schema"] = "meshplan.serving/9";
  const std::string future = scratch.file("future.json", other.dump());
  other = json::parse(text_of(good));
  other["layouts"] = 1;
  const std::string unknown = scratch.file("unknown.json", other.dump());
  other = json::parse(text_of(good));
  other["engine"] = "embeded";
  const std::string misspelt = scratch.file("misspelt.json", other.dump());
  other = json::parse(text_of(good));
  other["workload"]["output"] = 40;  // 48 tokens, 24 positions
  const std::string longer = scratch.file("longer.json", other.dump());
  for (const Case& wrong : std::vector<Case>{{good, "--mode partitioned", 2, "--mode"},
                                             {good, "--steps 1", 2, "--steps"},
                                             {good, "--plan 1", 2, "--plan"},
                                             {good, "--timeout 0", 2, "--timeout"},
                                             {good, "--backend tpu", 2, "--backend"},
                                             {good, "--backend cuda", 3, "GPU engine"},
                                             {future, "", 2, "schema"},
                                             {unknown, "", 2, "layouts"},
                                             {misspelt, "", 2, "embedded"},
                                             {longer, "", 2, "positions"}}) {
    const Outcome outcome = ran(wrong.file + " " + wrong.arguments);
    EXPECT_EQ(outcome.code, wrong.code) << wrong.says << "\n" << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(wrong.says));
    EXPECT_EQ(outcome.out, "") << wrong.says;
  }
}

TEST_F(ServingRun, RefusesWhatItDoesNotServe) {
  const auto says = [](const Outcome& outcome, int code, const char* words) {
    EXPECT_EQ(outcome.code, code) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(words));
  };
  says(ran(plan("tp1,pp1,dp1", "--batch 4", "--dtype bf16 --engine embedded")), 2, "fp32 only");
  says(ran(plan("tp1,pp1,dp2", "--batch 3")), 2, "share evenly");
  // When vllm's front end has handed a request over is a matter of the clock.
  says(ran(plan("tp1,pp1,dp1", "--concurrency 2", "--dtype fp32 --engine vllm")), 2, "front end");
  if (std::thread::hardware_concurrency() < 16) {
    says(ran(plan("tp4,pp2,dp2") + " --mode parallel"), 1, "16 ranks that serve at once");
  }
}

TEST_F(ServingRun, AStalledRankEndsTheRun) {
  if (std::thread::hardware_concurrency() < 2) GTEST_SKIP() << "one core";
  // No rank can be quick enough for a nanosecond.
  const Outcome outcome = ran(plan("tp2,pp1,dp1") + " --timeout 1e-9");
  EXPECT_EQ(outcome.code, 3) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("rank 0"));
  EXPECT_THAT(outcome.err, HasSubstr("rank 1"));
}

}  // namespace
