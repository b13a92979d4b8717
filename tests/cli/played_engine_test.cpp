// The real command on a GPU engine of threads (played_engine.cpp): what of GPUs needs none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/cli/command.h"
#include "tests/cli/ports.h"

namespace {

using namespace meshplan::cli_test;
using nlohmann::json;
using testing::AnyOf;
using testing::DoubleNear;
using testing::HasSubstr;

constexpr const char* kTinyModel = R"({"model_type": "gpt2", "n_layer": 2, "n_embd": 32,
  "n_head": 4, "n_positions": 16, "vocab_size": 61, "resid_pdrop": 0.0, "embd_pdrop": 0.0,
  "attn_pdrop": 0.0, "activation_function": "gelu_new"})";

class PlayedEngine : public testing::Test {
 protected:
  Outcome played(const std::string& devices, const std::vector<std::string>& arguments) const {
    std::vector<std::string> command = {MESHPLAN_PLAYED_BINARY};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return Running(command, {scratch.path(), {{"MESHPLAN_PLAYED", devices}}}).outcome();
  }
  /// The cluster that `--cluster localhost` is with `devices`.
  json here(const std::string& devices, const std::string& cluster = "localhost") {
    const Outcome outcome =
        played(devices,
               words("predict --model " + scratch.file("tiny.json", kTinyModel) + " --cluster " +
                     cluster + " --seq-len 16 --global-batch 8 --layout tp1,pp1,dp1,mbs1 --json"));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    said = outcome.err;
    return outcome.code == 0 ? json::parse(outcome.out).at("cluster") : json();
  }
  std::string plan(const std::string& layout, const std::string& dtype = "fp32") const {
    const std::string path = (scratch.path() / "plan.json").string();
    const Outcome outcome =
        played("4|NVIDIA H200|switch:18",
               words("predict --model " + scratch.file("tiny.json", kTinyModel) +
                     " --cluster localhost --framework embedded --seq-len 16 --global-batch 8 "
                     "--dtype " +
                     dtype + " --layout " + layout + " --out " + path));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return path;
  }
  ScratchFolder scratch;
  std::string said;
};

TEST_F(PlayedEngine, LocalhostIsTheGpusAndWhatJoinsThem) {
  const json hgx = here("8|NVIDIA H200|switch:18");
  EXPECT_EQ(hgx.at("name"), "localhost");
  EXPECT_EQ(hgx.at("device").at("id"), "h200-sxm-141gb");
  EXPECT_EQ(hgx.at("devices_per_node"), 8);
  EXPECT_EQ(hgx.at("intra_node").at("kind"), "nvswitch");
  // 18 NVLinks of 25 GB/s each way.
  EXPECT_EQ(hgx.at("intra_node").at("bytes_per_second_per_device"), 450e9);
  EXPECT_EQ(said, "");

  const json bridged = here("2|NVIDIA A40|pair:4");
  EXPECT_EQ(bridged.at("device").at("id"), "a40-48gb");
  EXPECT_EQ(bridged.at("intra_node").at("kind"), "nvlink-pairs");

  const json lone = here("4|NVIDIA L40S|none", "localhost:1/2");
  EXPECT_EQ(lone.at("intra_node").at("kind"), "pcie");
  EXPECT_EQ(lone.at("devices_used_per_node"), 2);
}

TEST_F(PlayedEngine, LinksThatNobodyTellsOfAreAssumedAndSaid) {
  const json cluster = here("8|NVIDIA H100 80GB HBM3|unknown");
  EXPECT_EQ(cluster.at("device").at("id"), "h100-sxm-80gb");
  EXPECT_EQ(cluster.at("intra_node").at("kind"), "nvswitch");
  const Outcome text = played(
      "8|NVIDIA H100 80GB HBM3|unknown",
      words("predict --model tiny.json --cluster localhost --seq-len 16 --global-batch 8 --layout "
            "tp1,pp1,dp1,mbs1"));
  EXPECT_THAT(text.out, HasSubstr("assumed   intra_node"));
}

TEST_F(PlayedEngine, LocalhostStaysTheCoresWithoutAGpuThatAPresetDescribes) {
  EXPECT_EQ(here("0").at("device").at("id"), "host-cpu");
  EXPECT_EQ(said, "");
  EXPECT_EQ(here("1|NVIDIA GeForce RTX 4090|none").at("device").at("id"), "host-cpu");
  EXPECT_THAT(said, HasSubstr("note: localhost is its cores"));
  EXPECT_THAT(said, HasSubstr("RTX 4090"));
  EXPECT_EQ(here("8|NVIDIA H200|switch:18", "host-cpu").at("device").at("id"), "host-cpu");
  EXPECT_EQ(said, "");
}

void expect_collectives(const json& document, int bytes_an_activation) {
  ASSERT_FALSE(document.at("collectives").empty());
  for (const json& line : document.at("collectives")) {
    EXPECT_EQ(line.at("ranks"), 2);
    EXPECT_GT(line.at("bytes").get<std::int64_t>(), 0);
    EXPECT_GE(line.at("calls_per_step").get<int>(), 1);
    EXPECT_GT(line.at("predicted_seconds").get<double>(), 0);
    EXPECT_GT(line.at("measured_seconds").get<double>(), 0);
    // The played library: a nanosecond an element. Statistics are fp32 in every run.
    const double elements = 1e9 * line.at("nccl_seconds").get<double>();
    EXPECT_THAT(line.at("bytes").get<double>() / elements,
                AnyOf(DoubleNear(4, 1e-6), DoubleNear(bytes_an_activation, 1e-6)));
  }
}

TEST_F(PlayedEngine, ARunShowsEveryCollectiveBesidePredictionAndEstimate) {
  const std::string file = plan("tp2,pp1,dp2,mbs1,sp");
  const Outcome outcome =
      played("4|NVIDIA H200|switch:18", words("run " + file + " --backend cuda --json --steps 3"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json document = json::parse(outcome.out);
  EXPECT_EQ(document.at("mode"), "parallel");
  EXPECT_LT(document.at("one_rank").at("relative_difference").get<double>(), 1e-5);
  expect_collectives(document, 4);
  const Outcome text =
      played("4|NVIDIA H200|switch:18", words("run " + file + " --backend cuda --steps 2"));
  EXPECT_THAT(text.out, HasSubstr("NCCL's own"));
  EXPECT_THAT(text.out, HasSubstr("all_gather"));
  // Replay moves data within one device: nothing to hold against NCCL.
  const Outcome replay =
      played("1|NVIDIA H200|switch:18", words("run " + file + " --backend cuda --json --steps 2"));
  ASSERT_EQ(replay.code, 0) << replay.err;
  const json lone = json::parse(replay.out);
  EXPECT_EQ(lone.count("collectives"), 0U);
  EXPECT_EQ(lone.at("executed").at("ranks").size(), 1U);  // of four, for two replicas of one stage
  EXPECT_LT(lone.at("one_rank").at("relative_difference").get<double>(), 1e-5);
  // The same but for some words that wait for a transfer, or do not.
  for (std::size_t rank = 0; rank < 4; ++rank) {
    const auto bytes = [&](const json& run) {
      return run.at("memory").at(rank).at("measured_bytes").get<double>();
    };
    EXPECT_NEAR(bytes(lone) / bytes(document), 1, 2e-3);
  }
}

TEST_F(PlayedEngine, LaunchedRanksAreThoseOfOneProcess) {
  const std::string file = plan("tp2,pp2,dp1,mbs1,sp", "bf16");
  const std::string arguments = " --backend cuda --json --steps 3";
  const Outcome threads = played("4|NVIDIA H200|switch:18", words("run " + file + arguments));
  ASSERT_EQ(threads.code, 0) << threads.err;
  const int port = free_port();
  std::vector<std::unique_ptr<Running>> ranks;
  for (int r = 0; r < 4; ++r) {
    std::vector<std::string> command = {MESHPLAN_PLAYED_BINARY, "run"};
    for (const std::string& word : words(file + arguments)) command.push_back(word);
    auto variables = torchrun_variables(r, 4, port);
    // Two machines of two devices.
    variables["LOCAL_RANK"] = std::to_string(r % 2);
    variables["MESHPLAN_PLAYED"] = "2|NVIDIA H200|switch:18";
    ranks.push_back(std::make_unique<Running>(command, Surroundings{scratch.path(), variables}));
  }
  const Outcome first = ranks[0]->outcome();
  ASSERT_EQ(first.code, 0) << first.err;
  for (int r = 1; r < 4; ++r) {
    const Outcome other = ranks[static_cast<std::size_t>(r)]->outcome();
    EXPECT_EQ(other.code, 0) << other.err;
    EXPECT_EQ(other.out + other.err, "");
  }
  const json document = json::parse(first.out);
  EXPECT_THAT(document.at("device").get<std::string>(), HasSubstr("a process a device"));
  EXPECT_EQ(document.at("loss"), json::parse(threads.out).at("loss"));
  EXPECT_EQ(document.at("memory").size(), 4U);
  expect_collectives(document, 2);  // bf16
}

TEST_F(PlayedEngine, ALaunchedRankNeedsADeviceOfItsOwn) {
  auto variables = torchrun_variables(1, 2, free_port());
  variables["LOCAL_RANK"] = "5";
  variables["MESHPLAN_PLAYED"] = "2|NVIDIA H200|switch:18";
  const std::string file = plan("tp2,pp1,dp1,mbs1");
  const Outcome outcome = Running({MESHPLAN_PLAYED_BINARY, "run", file, "--backend", "cuda"},
                                  {scratch.path(), variables})
                              .outcome();
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("local rank of rank 1"));
}

}  // namespace
