// Ranks that a launcher starts as processes: `mpirun -n 4 meshplan run plan.json`.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "tests/cli/command.h"
#include "tests/cli/tiny_plan.h"

namespace {

using namespace meshplan::cli_test;
using nlohmann::json;
using testing::HasSubstr;
using namespace std::chrono_literals;

class LaunchedRun : public testing::Test {
 protected:
  void SetUp() override {
    if (Running({"mpirun", "--version"}).outcome().code != 0) GTEST_SKIP() << "no mpirun";
    if (!std::filesystem::exists(MESHPLAN_MPI_PLUGIN)) GTEST_SKIP() << "built without MPI";
  }
  std::string plan(const std::string& layout) const { return tiny_plan(scratch, layout); }
  /// Four ranks; each leaves its process in pid.RANK and its exit code in code.RANK.
  std::vector<std::string> four_ranks(const std::string& arguments) const {
    const std::string script =
        scratch.file("rank.sh", "trap : TERM\n" MESHPLAN_BINARY " run " + arguments +
                                    " & p=$!; echo $p > pid.$OMPI_COMM_WORLD_RANK\n"
                                    "wait $p; c=$?\n"
                                    "while kill -0 $p 2>/dev/null; do wait $p; c=$?; done\n"
                                    "echo $c > code.$OMPI_COMM_WORLD_RANK; exit $c\n");
    return {"mpirun", "-n", "4", "sh", script};
  }
  Surroundings here() const {
    return {scratch.path(),
            {{"OMPI_ALLOW_RUN_AS_ROOT", "1"},
             {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
             {"OMPI_MCA_rmaps_base_oversubscribe", "1"}}};
  }
  int number_in(const std::string& file) const {
    std::ifstream stream(scratch.path() / file);
    int number = -1;
    return stream >> number ? number : -1;
  }
  ScratchFolder scratch;
};

/// Whether the process handles SIGTERM itself: the ranks do as long as they run under MPI.
bool is_running(int process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (!line.starts_with("SigCgt:")) continue;
    return ((std::stoull(line.substr(7), nullptr, 16) >> (SIGTERM - 1)) & 1) != 0;
  }
  return false;
}

TEST_F(LaunchedRun, RankZeroPrintsAndWritesOnce) {
  const std::string file = plan("tp2,pp2,dp1,mbs1,sp");
  const Outcome outcome =
      Running(four_ranks(file + " --json --steps 3 --out measurement.json"), here()).outcome();
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json document = json::parse(outcome.out);  // one document, not four
  EXPECT_EQ(document.at("mode"), "parallel");
  EXPECT_EQ(document.at("ranks"), 4);
  EXPECT_EQ(document.at("memory").size(), 4U);
  EXPECT_THAT(document.at("device").get<std::string>(), HasSubstr("MPI"));
  EXPECT_LT(document.at("one_rank").at("relative_difference").get<double>(), 1e-5);
  const json written = json::parse(text_of(scratch.path() / "measurement.json"));
  EXPECT_EQ(written.at("loss"), document.at("loss"));
  for (const char* code : {"code.0", "code.1", "code.2", "code.3"}) EXPECT_EQ(number_in(code), 0);

  // Threads of one process compute the same to rounding: MPI sums in an order of its own.
  const Outcome threads = run_meshplan(words("run " + file + " --json --steps 3 --mode replay"));
  const json on_threads = json::parse(threads.out);
  EXPECT_NEAR(document.at("loss").at(0).get<double>(), on_threads.at("loss").at(0).get<double>(),
              1e-5);
}

TEST_F(LaunchedRun, ARefusalIsSaidOnce) {
  const Outcome outcome =
      Running({"mpirun", "-n", "4", MESHPLAN_BINARY, "run", plan("tp2,pp1,dp1,mbs1")}, here())
          .outcome();
  EXPECT_EQ(outcome.code, 1);
  const std::string refusal = "the plan is for 2 ranks, but the launcher has started 4";
  const std::size_t first = outcome.err.find(refusal);
  EXPECT_NE(first, std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find(refusal, first + 1), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.out, "");
}

TEST_F(LaunchedRun, AKilledRankEndsTheRunWithEveryRanksLastInstruction) {
  const std::string file = plan("tp1,pp2,dp2,mbs1");
  Surroundings patient = here();  // a busy machine may need more than the usual second
  patient.environment["OMPI_MCA_odls_base_sigkill_timeout"] = "12";
  Running run(four_ranks(file + " --steps 1000000 --timeout 20 --out measurement.json"), patient);
  const auto begin = std::chrono::steady_clock::now();
  constexpr int kVictim = 2;
  for (int rank = 0; rank < 4; ++rank) {
    const std::string name = "pid." + std::to_string(rank);
    while (number_in(name) < 0 || !is_running(number_in(name))) {
      ASSERT_LT(std::chrono::steady_clock::now() - begin, 60s) << "rank " << rank << " never ran";
      std::this_thread::sleep_for(10ms);
    }
  }
  ASSERT_EQ(::kill(number_in("pid.2"), SIGKILL), 0);
  const Outcome outcome = run.outcome();
  EXPECT_NE(outcome.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("the process of rank 2 has died"));
  for (int rank = 0; rank < 4; ++rank) {
    EXPECT_THAT(outcome.err, HasSubstr("; rank " + std::to_string(rank) + " at "));
    EXPECT_EQ(number_in("code." + std::to_string(rank)), rank == kVictim ? 128 + SIGKILL : 3);
  }
  EXPECT_FALSE(std::filesystem::exists(scratch.path() / "measurement.json"));
}

}  // namespace
