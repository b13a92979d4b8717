// Ranks that are processes and meet over TCP, as below torchrun: RANK, WORLD_SIZE, MASTER_ADDR, ...
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "tests/cli/command.h"
#include "tests/cli/ports.h"
#include "tests/cli/tiny_plan.h"

namespace {

using namespace meshplan::cli_test;
using nlohmann::json;
using testing::HasSubstr;
using namespace std::chrono_literals;

class Torchrun : public testing::Test {
 protected:
  std::string plan(const std::string& layout) const { return tiny_plan(scratch, layout); }
  /// Rank `rank` of `ranks`, started.
  std::unique_ptr<Running> started(int rank, int ranks, const std::string& arguments) const {
    std::vector<std::string> command = {MESHPLAN_BINARY, "run"};
    for (const std::string& word : words(arguments)) command.push_back(word);
    return std::make_unique<Running>(
        command, Surroundings{scratch.path(), torchrun_variables(rank, ranks, port)});
  }
  std::vector<std::unique_ptr<Running>> all_started(int ranks, const std::string& arguments) const {
    std::vector<std::unique_ptr<Running>> out;
    for (int r = 0; r < ranks; ++r) out.push_back(started(r, ranks, arguments));
    return out;
  }
  /// Waits until every rank has told rank 0 of itself: only then it has a thread that reads.
  static void wait_until_they_have_met(const std::vector<std::unique_ptr<Running>>& ranks) {
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      const std::string folder = "/proc/" + std::to_string(ranks[r]->process()) + "/task";
      const auto threads = [&] {
        std::error_code none;
        return std::distance(std::filesystem::directory_iterator(folder, none), {});
      };
      while (threads() < (r == 0 ? 4 : 3)) {  // rank 0 also has the one where all meet
        ASSERT_LT(std::chrono::steady_clock::now() - begin, 60s) << "rank " << r << " never ran";
        std::this_thread::sleep_for(10ms);
      }
    }
  }
  ScratchFolder scratch;
  int port = free_port();
};

TEST_F(Torchrun, RankZeroPrintsAndWritesOnce) {
  const std::string file = plan("tp2,pp2,dp1,mbs1,sp");
  auto ranks = all_started(4, file + " --json --steps 3 --out measurement.json");
  const Outcome first = ranks[0]->outcome();
  ASSERT_EQ(first.code, 0) << first.err;
  for (int r = 1; r < 4; ++r) {
    const Outcome other = ranks[static_cast<std::size_t>(r)]->outcome();
    EXPECT_EQ(other.code, 0) << other.err;
    EXPECT_EQ(other.out + other.err, "");
  }
  const json document = json::parse(first.out);
  EXPECT_EQ(document.at("ranks"), 4);
  EXPECT_EQ(document.at("memory").size(), 4U);
  EXPECT_THAT(document.at("device").get<std::string>(), HasSubstr("ranks over TCP"));
  EXPECT_LT(document.at("one_rank").at("relative_difference").get<double>(), 1e-5);
  EXPECT_EQ(json::parse(text_of(scratch.path() / "measurement.json")).at("loss"),
            document.at("loss"));
  // Sums run in the order of ranks there as between threads: the same bits, in the one step that a
  // replay computes whole.
  const Outcome threads = run_meshplan(words("run " + file + " --json --steps 3 --mode replay"));
  EXPECT_EQ(json::parse(threads.out).at("loss").at(0), document.at("loss").at(0));
}

TEST_F(Torchrun, AKilledRankEndsTheRunWithEveryRanksLastInstruction) {
  auto ranks = all_started(4, plan("tp1,pp2,dp2,mbs1") + " --steps 1000000 --out measurement.json");
  wait_until_they_have_met(ranks);
  ASSERT_EQ(::kill(ranks[2]->process(), SIGKILL), 0);
  const Outcome first = ranks[0]->outcome();
  EXPECT_EQ(first.code, 3);
  EXPECT_THAT(first.err, HasSubstr("rank 2: its process ended"));
  for (int r = 0; r < 4; ++r) {
    EXPECT_THAT(first.err, HasSubstr("; rank " + std::to_string(r) + " at "));
  }
  for (const std::size_t r : {1U, 3U}) {
    const Outcome other = ranks[r]->outcome();
    EXPECT_EQ(other.code, 3);
    EXPECT_EQ(other.err, "");  // rank 0 has said it for this machine
  }
  EXPECT_FALSE(std::filesystem::exists(scratch.path() / "measurement.json"));
}

TEST_F(Torchrun, WhenRankZeroIsKilledEachSaysWhereItWas) {
  auto ranks = all_started(2, plan("tp1,pp2,dp1,mbs1") + " --steps 1000000");
  wait_until_they_have_met(ranks);
  ASSERT_EQ(::kill(ranks[0]->process(), SIGKILL), 0);
  const Outcome other = ranks[1]->outcome();
  EXPECT_EQ(other.code, 3);
  EXPECT_THAT(other.err, HasSubstr("rank 0: its process ended"));
  EXPECT_THAT(other.err, HasSubstr("rank 1 was at "));
}

TEST_F(Torchrun, ARankThatStopsIsLeftAfterTheTimeout) {
  auto ranks = all_started(2, plan("tp2,pp1,dp1,mbs1") + " --steps 1000000 --timeout 1");
  wait_until_they_have_met(ranks);
  ASSERT_EQ(::kill(ranks[1]->process(), SIGSTOP), 0);
  const Outcome first = ranks[0]->outcome();
  EXPECT_EQ(first.code, 3);
  EXPECT_THAT(first.err, HasSubstr("; rank 1 at "));
}

TEST_F(Torchrun, ARankThatDoesNotComeIsNamed) {
  const Outcome alone = started(0, 2, plan("tp1,pp2,dp1,mbs1") + " --timeout 0.5")->outcome();
  EXPECT_EQ(alone.code, 3);
  EXPECT_THAT(alone.err, HasSubstr("rank 1 did not come within 0.5"));
}

TEST_F(Torchrun, RefusesWhatCannotMeet) {
  const std::string file = plan("tp1,pp2,dp1,mbs1");
  const Outcome three = started(0, 3, file)->outcome();
  EXPECT_EQ(three.code, 1);
  EXPECT_THAT(three.err, HasSubstr("the plan is for 2 ranks, but the launcher has started 3"));

  auto variables = torchrun_variables(0, 2, port);
  variables["MASTER_ADDR"] = "";
  const Outcome nowhere = run_meshplan({"run", file}, {scratch.path(), variables});
  EXPECT_EQ(nowhere.code, 2);
  EXPECT_THAT(nowhere.err, HasSubstr("MASTER_ADDR"));

  variables = torchrun_variables(0, 2, port);
  variables["WORLD_SIZE"] = "two";
  const Outcome two = run_meshplan({"run", file}, {scratch.path(), variables});
  EXPECT_EQ(two.code, 2);
  EXPECT_THAT(two.err, HasSubstr("WORLD_SIZE"));

  const Outcome replay = started(0, 2, file + " --mode replay")->outcome();
  EXPECT_EQ(replay.code, 2);
  EXPECT_THAT(replay.err, HasSubstr("--mode"));
}

TEST_F(Torchrun, GpusThatAreNotThereAreMissedByEveryRank) {
  const Outcome outcome = started(0, 2, plan("tp1,pp2,dp1,mbs1") + " --backend cuda")->outcome();
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("GPU engine"));
}

}  // namespace
