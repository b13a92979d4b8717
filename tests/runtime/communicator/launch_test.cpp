#include "runtime/communicator/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "profiles/input_error.h"

namespace meshplan::runtime {
namespace {

using Environment = std::map<std::string, std::string>;

std::optional<Launch> launch(const Environment& environment) {
  return launch_from([&](const std::string& name) -> std::optional<std::string> {
    const auto found = environment.find(name);
    if (found == environment.end()) return std::nullopt;
    return found->second;
  });
}

TEST(Launch, WithoutALauncherThereIsNone) {
  EXPECT_EQ(launch({}), std::nullopt);
  EXPECT_EQ(launch({{"RANK", "0"}}), std::nullopt);
  EXPECT_EQ(launch({{"RANK", "0"}, {"WORLD_SIZE", "1"}}), std::nullopt);
  // An allocation of Slurm without a step names tasks, but starts none.
  EXPECT_EQ(launch({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}}), std::nullopt);
}

TEST(Launch, ReadsTorchrun) {
  const Launch expected{5, 16, 1, "10.0.0.7", 29500, Launcher::Torchrun};
  EXPECT_EQ(launch({{"RANK", "5"},
                    {"WORLD_SIZE", "16"},
                    {"LOCAL_RANK", "1"},
                    {"MASTER_ADDR", "10.0.0.7"},
                    {"MASTER_PORT", "29500"},
                    {"SLURM_PROCID", "1"},
                    {"SLURM_STEP_NUM_TASKS", "2"}}),
            expected);
}

TEST(Launch, LeavesTheAgentOfTorchrunItsPort) {
  // The agent listens at MASTER_PORT, and its workers are told so.
  const auto rank = [](const std::string& number, const std::string& run) {
    return launch({{"RANK", number},
                   {"WORLD_SIZE", "2"},
                   {"MASTER_ADDR", "node1"},
                   {"MASTER_PORT", "29500"},
                   {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                   {"TORCHELASTIC_RUN_ID", run}});
  };
  EXPECT_NE(rank("0", "a")->port, 29500);
  EXPECT_EQ(rank("0", "a")->port, rank("1", "a")->port);
  EXPECT_NE(rank("0", "a")->port, rank("0", "b")->port);
}

TEST(Launch, SaysWhichVariableIsMissingToMeet) {
  const auto missing = [](const Environment& environment) -> std::string {
    try {
      require_meeting_place(*launch(environment));
    } catch (const profiles::InputError& error) {
      return error.what();
    }
    return "";
  };
  const Environment ranks = {{"RANK", "0"}, {"WORLD_SIZE", "2"}};
  Environment address = ranks;
  address["MASTER_ADDR"] = "node1";
  Environment all = address;
  all["MASTER_PORT"] = "29500";
  EXPECT_THAT(missing(ranks), testing::HasSubstr("MASTER_ADDR"));
  EXPECT_THAT(missing(address), testing::HasSubstr("MASTER_PORT"));
  EXPECT_EQ(missing(all), "");
  // Four ranks, two of them here: mpirun does not tell where rank 0 is.
  EXPECT_THAT(missing({{"OMPI_COMM_WORLD_RANK", "0"},
                       {"OMPI_COMM_WORLD_SIZE", "4"},
                       {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}}),
              testing::HasSubstr("MASTER_ADDR"));
}

TEST(Launch, ReadsMpirunAndAgreesOnAPort) {
  const auto rank = [](const std::string& number) {
    return launch({{"OMPI_COMM_WORLD_RANK", number},
                   {"OMPI_COMM_WORLD_SIZE", "4"},
                   {"OMPI_COMM_WORLD_LOCAL_RANK", number},
                   {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
                   {"PMIX_NAMESPACE", "1234567"}});
  };
  ASSERT_TRUE(rank("3"));
  EXPECT_EQ(rank("3")->rank, 3);
  EXPECT_EQ(rank("3")->ranks, 4);
  EXPECT_EQ(rank("3")->local_rank, 3);
  EXPECT_EQ(rank("3")->address, "127.0.0.1");
  EXPECT_EQ(rank("3")->port, rank("0")->port);
  EXPECT_GE(rank("0")->port, 20000);
  EXPECT_LT(rank("0")->port, 30000);
}

TEST(Launch, ReadsSlurm) {
  const auto found = launch({{"SLURM_PROCID", "9"},
                             {"SLURM_STEP_NUM_TASKS", "16"},
                             {"SLURM_LOCALID", "1"},
                             {"SLURM_JOB_ID", "77"},
                             {"SLURM_STEP_NODELIST", "gpu[003-004]"}});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->rank, 9);
  EXPECT_EQ(found->local_rank, 1);
  EXPECT_EQ(found->address, "gpu003");
}

TEST(Launch, RefusesNumbersThatAreNone) {
  EXPECT_THROW(launch({{"RANK", "x"}, {"WORLD_SIZE", "2"}}), profiles::InputError);
  EXPECT_THROW(launch({{"RANK", "2"}, {"WORLD_SIZE", "2"}}), profiles::InputError);
  EXPECT_THROW(launch({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "70000"}}),
               profiles::InputError);
}

TEST(Launch, FindsTheFirstHostOfASlurmList) {
  EXPECT_EQ(first_host("node7"), "node7");
  EXPECT_EQ(first_host("node7,node9"), "node7");
  EXPECT_EQ(first_host("gpu[003-007,12],login1"), "gpu003");
  EXPECT_EQ(first_host("gpu[12]"), "gpu12");
  EXPECT_EQ(first_host("rack1-gpu[2,5]-ib"), "rack1-gpu2-ib");
  EXPECT_EQ(first_host("login1,gpu[003-007]"), "login1");
}

}  // namespace
}  // namespace meshplan::runtime
