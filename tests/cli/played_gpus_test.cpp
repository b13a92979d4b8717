// The real command with the real GPU engine, on a machine whose GPUs threads play
// (tests/runtime/cuda/played): what `run`, `profile` and `--cluster localhost` do there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/cli/command.h"

namespace {

using namespace meshplan::cli_test;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

constexpr const char* kTinyModel = R"({"model_type": "llama", "num_hidden_layers": 4,
  "hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48,
  "max_position_embeddings": 64, "vocab_size": 61, "tie_word_embeddings": false})";

class PlayedGpus : public testing::Test {
 protected:
  /// The command on `devices` GPUs; `more` variables.
  Outcome on(int devices, const std::string& arguments,
             std::map<std::string, std::string> more = {}) const {
    more["MESHPLAN_PLUGINS"] = MESHPLAN_PLAYED_FOLDER;
    more["LD_LIBRARY_PATH"] = MESHPLAN_PLAYED_FOLDER;
    more["MESHPLAN_PLAYED_DEVICES"] = std::to_string(devices);
    return run_meshplan(words(arguments), {scratch.path(), more});
  }
  [[nodiscard]] std::string plan(const std::string& layout, const std::string& dtype = "fp32",
                                 const std::string& command =
                                     "predict --global-batch 8 "
                                     "--seq-len 16") const {
    const std::string path = (scratch.path() / "plan.json").string();
    const std::string framework =
        command.find("--inference") == std::string::npos ? "--framework" : "--engine";
    const Outcome outcome = on(8, command + " --model " + scratch.file("tiny.json", kTinyModel) +
                                      " --cluster localhost " + framework + " embedded --dtype " +
                                      dtype + " --layout " + layout + " --out " + path);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return path;
  }
  /// The answer of a run that ended well, of the same first loss as one rank.
  [[nodiscard]] json ran(int devices, const std::string& arguments) const {
    const Outcome outcome = on(devices, "run --backend cuda --json --steps 3 " + arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    if (outcome.code != 0) return {};
    json document = json::parse(outcome.out);
    EXPECT_LT(document.at("one_rank").at("relative_difference").get<double>(), 1e-4);
    EXPECT_THAT(document.at("device").get<std::string>(), HasSubstr("NVIDIA H200"));
    return document;
  }
  ScratchFolder scratch;
};

TEST_F(PlayedGpus, LocalhostIsWhatDriverAndManagementLibraryTell) {
  const std::string file = plan("tp1,pp1,dp1,mbs1");
  const json cluster = json::parse(text_of(file)).at("cluster");
  EXPECT_EQ(cluster.at("device").at("id"), "h200-sxm-141gb");
  EXPECT_EQ(cluster.at("devices_per_node"), 8);
  EXPECT_EQ(cluster.at("intra_node").at("kind"), "nvswitch");
  EXPECT_EQ(cluster.at("intra_node").at("bytes_per_second_per_device"), 450e9);
}

TEST_F(PlayedGpus, RunInParallelWithNccl) {
  for (const char* dtype : {"fp32", "bf16"}) {
    const json document = ran(8, plan("tp2,pp2,dp2,mbs1,sp,zero1,overlap=grad+param", dtype));
    EXPECT_EQ(document.at("mode"), "parallel");
    ASSERT_FALSE(document.at("collectives").empty());
    for (const json& line : document.at("collectives")) {
      EXPECT_GT(line.at("measured_seconds").get<double>(), 0);
      EXPECT_GT(line.at("nccl_seconds").get<double>(), 1e-6);  // as played
    }
  }
}

TEST_F(PlayedGpus, RunOneAfterTheOtherOnOneDevice) {
  const json document = ran(1, plan("tp2,pp2,dp1,mbs1,sp"));
  EXPECT_EQ(document.at("mode"), "replay");
  EXPECT_EQ(document.count("collectives"), 0U);
}

TEST_F(PlayedGpus, RunSideBySideOnPartsOfOneDevice) {
  EXPECT_EQ(ran(1, plan("tp2,pp2,dp1,mbs1,sp") + " --mode partitioned").at("mode"), "partitioned");
}

TEST_F(PlayedGpus, Serve) {
  const std::string file =
      plan("tp2,pp2,dp1", "fp32", "predict --inference --prompt 8 --output 6 --batch 4");
  const Outcome outcome = on(8, "run --backend cuda --json " + file);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json document = json::parse(outcome.out);
  EXPECT_GT(document.at("measured").at("tpot_seconds").get<double>(), 0);
}

TEST_F(PlayedGpus, AMissingDriverIsOneLineAndCode3) {
  const Outcome outcome = on(0, "run --backend cuda " + plan("tp1,pp1,dp1,mbs1"));
  EXPECT_EQ(outcome.code, 3);
  EXPECT_EQ(outcome.err, "meshplan: no GPU engine: the NVIDIA driver shows no device\n");
}

/// Kernels that take no time: what is seen is that everything is issued, timed, fitted and written.
TEST_F(PlayedGpus, Profile) {
  const Outcome outcome =
      on(2, "profile --backend cuda --brief --out mine", {{"MESHPLAN_PLAYED_IDLE", "1"}});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::filesystem::path tables = scratch.path() / "mine" / "tables";
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(tables)) {
    names.push_back(entry.path().filename().string());
  }
  EXPECT_THAT(
      names, testing::IsSupersetOf({testing::StartsWith("gemm_"), testing::StartsWith("attention_"),
                                    testing::StartsWith("collectives")}));
}

}  // namespace
