#include "planner/cost/collective/collective_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "profiles/cluster_load.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

const profiles::DataFiles kFiles;

CollectiveSources read(const std::string& text) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "sources_test";
  std::filesystem::create_directories(folder / "collectives");
  std::ofstream(folder / "collectives" / "sources.json") << text;
  const profiles::DataFiles files({folder.string()});
  CollectiveSources out;
  try {
    out = load_collective_sources(files);
  } catch (...) {
    std::filesystem::remove_all(folder);
    throw;
  }
  std::filesystem::remove_all(folder);
  return out;
}

std::string refusal(const std::string& text) {
  try {
    (void)read(text);
  } catch (const profiles::InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(CollectiveSource, HasItsHabit) {
  EXPECT_EQ(call_timing_of_source(""), CallTiming::Graph);
  EXPECT_EQ(call_timing_of_source("nccl-tests style, one node"), CallTiming::Graph);
  EXPECT_EQ(call_timing_of_source("vidur h100_dgx"), CallTiming::Kernel);
  EXPECT_EQ(call_timing_of_source("xla_sm100_8gpu"), CallTiming::Program);
  EXPECT_EQ(call_timing_of_source("my_cluster_allreduce"), CallTiming::Launched);
}

TEST(CollectiveSource, HasTheHostsThatItNames) {
  using profiles::PeerToPeer;
  const profiles::Cluster l40s = profiles::load_cluster("l40s-pcie", kFiles);
  EXPECT_EQ(host_of_source(l40s, "nccl-tests style, one node").peer_to_peer, PeerToPeer::Switch);
  EXPECT_EQ(host_of_source(l40s, "l40s_4_allreduce").peer_to_peer, l40s.peer_to_peer);
  EXPECT_EQ(host_of_source(l40s, "").peer_to_peer, l40s.peer_to_peer);
  const profiles::Cluster a40 = profiles::load_cluster("a40-nvlink-pairs", kFiles);
  const profiles::Cluster vidurs = host_of_source(a40, "vidur a40_pairwise_nvlink");
  EXPECT_EQ(vidurs.intra_kind, profiles::IntraNodeKind::Pcie);
  EXPECT_EQ(vidurs.nvlink_domain_devices, 1);
  EXPECT_EQ(vidurs.name, a40.name);
}

TEST(CollectiveSource, SaysWhereItRanWithoutLl128) {
  EXPECT_FALSE(source_has_ll128("dgx-b200", "nccl-tests style, one node"));
  EXPECT_TRUE(source_has_ll128("dgx-h100", "nccl-tests style, one node"));
  EXPECT_TRUE(source_has_ll128("dgx-b200", "azure_ND_GB200_v6"));
  EXPECT_TRUE(source_has_ll128("dgx-b200", ""));
}

TEST(CollectiveSource, EveryShippedFactCanBeSet) {
  for (const auto& [name, source] : shipped_collective_sources()) {
    for (const auto& [cluster, facts] : source.hosts) {
      EXPECT_NO_THROW((void)host_of_source(profiles::load_cluster(cluster, kFiles), name)) << name;
    }
    for (const std::string& cluster : source.without_ll128) {
      EXPECT_NO_THROW((void)profiles::load_cluster(cluster, kFiles)) << name;
    }
  }
}

TEST(CollectiveSource, IsReadFromItsFile) {
  const CollectiveSources sources = read(R"({"schema": "meshplan.collective-sources/1", "sources": {
    "ours": {"timed": "kernel", "hosts": {"l40s-pcie": {"intra_node.peer_to_peer": "none"}}}}})");
  EXPECT_EQ(call_timing_of_source("ours, 2025", sources), CallTiming::Kernel);
  EXPECT_EQ(call_timing_of_source("vidur a100", sources), CallTiming::Launched);
  const profiles::Cluster l40s = profiles::load_cluster("l40s-pcie", kFiles);
  EXPECT_EQ(host_of_source(l40s, "ours", sources).peer_to_peer, profiles::PeerToPeer::None);
}

TEST(CollectiveSource, RefusesWhatItDoesNotKnow) {
  using testing::HasSubstr;
  const std::string head = R"({"schema": "meshplan.collective-sources/1", "sources": {"ours": )";
  EXPECT_THAT(refusal(head + R"({"timed": "python"}}})"),
              HasSubstr("sources/ours/timed: expected graph, launched, kernel or program"));
  EXPECT_THAT(refusal(head + R"({"timd": "graph"}}})"), HasSubstr("did you mean 'timed'?"));
  EXPECT_THAT(refusal(head + R"({}}})"), HasSubstr("timed"));
}

}  // namespace
}  // namespace meshplan::planner
