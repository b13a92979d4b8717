#include "planner/cost/collective/nccl_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <set>

#include "profiles/cluster_load.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::Cluster;
using profiles::load_cluster;
using namespace profiles::literals;

const profiles::DataFiles kFiles;

struct Chosen {
  std::string_view algorithm, protocol;
  double microseconds, latency, gigabytes_per_second;
};

Chosen choose(const Cluster& cluster, int ranks, int nodes, Collective operation, Bytes bytes,
              const std::string& version = "2.30") {
  const NcclModel model(lone_group(ranks, nodes, cluster), cluster,
                        load_nccl_constants(version, kFiles));
  const NcclModel::Choice choice = model.choose(operation, bytes);
  const NcclCandidate& candidate =
      model.candidates(operation)[static_cast<std::size_t>(choice.candidate)];
  return {name(candidate.algorithm), name(candidate.protocol), choice.time.count() * 1e6,
          choice.latency.count() * 1e6, choice.bandwidth.rate / 1e9};
}

// What NCCL logged on 24 H100 of 3 nodes (NVIDIA/nccl issue 1453): "4096 Bytes -> Algo 0 proto 0
// time 25.874907", "8192 Bytes -> Algo 0 proto 0 time 26.549810". NCCL computes in single
// precision: seven digits.
TEST(NcclModel, EqualsWhatNcclLogged) {
  const Cluster h100 = load_cluster("dgx-h100", kFiles);
  const Chosen small = choose(h100, 24, 3, Collective::AllReduce, 4_KiB);
  EXPECT_EQ(small.algorithm, "tree");
  EXPECT_EQ(small.protocol, "LL");
  EXPECT_NEAR(small.microseconds, 25.874907, 5e-6);
  const Chosen larger = choose(h100, 24, 3, Collective::AllReduce, 8_KiB);
  EXPECT_EQ(larger.algorithm, "tree");
  EXPECT_EQ(larger.protocol, "LL");
  EXPECT_NEAR(larger.microseconds, 26.549810, 5e-6);
}

// Computed independently by hand from the published description of the model; printed to 0.1 us.
TEST(NcclModel, EqualsTheHandComputedTable) {
  struct Row {
    const char* cluster;
    int ranks, nodes;
    Collective operation;
    Bytes bytes;
    const char* algorithm;
    const char* protocol;
    double latency, gigabytes_per_second, microseconds;
  };
  const Row rows[] = {
      {"dgx-h100", 8, 1, Collective::AllReduce, 1_GiB, "nvls", "Simple", 25.0, 272.0, 3972.6},
      {"dgx-h100", 8, 1, Collective::AllReduce, 256_MiB, "nvls", "Simple", 25.0, 272.0, 1011.9},
      {"dgx-h100", 8, 1, Collective::AllReduce, 64_KiB, "ring", "LL", 15.0, 80.57, 15.8},
      {"dgx-a100-80gb", 16, 2, Collective::AllReduce, 256_MiB, "ring", "Simple", 286.2, 102.4,
       2907.6},
      {"dgx-a100-80gb", 16, 2, Collective::AllReduce, 64_KiB, "tree", "LL", 25.2, 6.75, 34.9},
      {"dgx-a100-80gb", 8, 1, Collective::AllReduce, 256_MiB, "ring", "Simple", 56.0, 137.1,
       2013.3},
      {"dgx-h100", 8, 1, Collective::AllGather, 256_MiB, "ring", "Simple", 32.2, 411.4, 684.6},
      {"dgx-h100", 8, 1, Collective::ReduceScatter, 256_MiB, "ring", "Simple", 32.2, 411.4, 684.6},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(testing::Message()
                 << row.cluster << " " << name(row.operation) << " " << row.bytes.count);
    const Chosen found =
        choose(load_cluster(row.cluster, kFiles), row.ranks, row.nodes, row.operation, row.bytes);
    EXPECT_EQ(found.algorithm, row.algorithm);
    EXPECT_EQ(found.protocol, row.protocol);
    EXPECT_NEAR(found.latency, row.latency, 0.05);
    EXPECT_NEAR(found.gigabytes_per_second, row.gigabytes_per_second, 0.05);
    EXPECT_NEAR(found.microseconds, row.microseconds, 0.051);
  }
}

TEST(NcclModel, TheHostsCpuSetsTheRingsLatency) {
  // Intel: (8.4 + 28 max(3.4, 3 * 1.0) + 2 * 14) * 1.4 = 184.2 us.
  Cluster intel = load_cluster("dgx-a100-80gb", kFiles);
  intel.host_cpu = "intel";
  const Chosen found = choose(intel, 16, 2, Collective::AllReduce, 256_MiB);
  EXPECT_NEAR(found.latency, 184.2, 0.05);
  EXPECT_NEAR(found.microseconds, 2805.7, 0.06);
}

TEST(NcclModel, VersionsDifferOnBlackwell) {
  const Cluster b200 = load_cluster("dgx-b200", kFiles);
  const Chosen old = choose(b200, 64, 8, Collective::AllReduce, 1_GiB, "2.28");
  const Chosen recent = choose(b200, 64, 8, Collective::AllReduce, 1_GiB, "2.30");
  EXPECT_EQ(recent.algorithm, "nvls_tree");
  // The cap of one NVLSTree channel is 43.8 GB/s in 2.28 and 80 in 2.30; NICs give 48.
  EXPECT_LT(old.gigabytes_per_second, recent.gigabytes_per_second);
}

TEST(NcclModel, PcieHostsHaveNoLl128) {
  const Cluster l40s = load_cluster("l40s-pcie", kFiles);
  const NcclModel model(lone_group(8, 1, l40s), l40s, load_nccl_constants("2.28", kFiles));
  for (const NcclCandidate& one : model.candidates(Collective::AllReduce)) {
    EXPECT_NE(one.protocol, Protocol::Ll128);
    EXPECT_NE(one.algorithm, Algorithm::Nvls);
  }
}

TEST(NcclModel, SocketsBetweenNodesHaveNoLl128) {
  Cluster a100 = load_cluster("dgx-a100-80gb", kFiles);
  const auto has_ll128 = [&](int nodes) {
    const NcclModel model(lone_group(8 * nodes, nodes, a100), a100,
                          load_nccl_constants("2.28", kFiles));
    for (const NcclCandidate& one : model.candidates(Collective::AllReduce)) {
      if (one.protocol == Protocol::Ll128) return true;
    }
    return false;
  };
  EXPECT_TRUE(has_ll128(2));
  a100.inter_kind = profiles::InterNodeKind::Ethernet;
  EXPECT_FALSE(has_ll128(2));
  EXPECT_TRUE(has_ll128(1));  // its NVLinks are what they were
}

TEST(NcclModel, LeavesLl128OutWhereItIsToldTo) {
  const Cluster h100 = load_cluster("dgx-h100", kFiles);
  const auto constants = load_nccl_constants("2.28", kFiles);
  const auto protocols = [&](bool ll128) {
    std::set<Protocol> out;
    const NcclModel model(lone_group(8, 1, h100), h100, constants, ll128);
    for (const NcclCandidate& one : model.candidates(Collective::AllGather)) {
      out.insert(one.protocol);
    }
    return out;
  };
  EXPECT_EQ(protocols(true), (std::set{Protocol::Ll, Protocol::Ll128, Protocol::Simple}));
  EXPECT_EQ(protocols(false), (std::set{Protocol::Ll, Protocol::Simple}));
}

TEST(NcclModel, OneRankAndExchangesHaveNoCandidates) {
  const Cluster h100 = load_cluster("dgx-h100", kFiles);
  const auto constants = load_nccl_constants("2.28", kFiles);
  EXPECT_TRUE(NcclModel(GroupShape{}, h100, constants).candidates(Collective::AllReduce).empty());
  const NcclModel eight(lone_group(8, 1, h100), h100, constants);
  EXPECT_TRUE(eight.candidates(Collective::AllToAll).empty());
  EXPECT_TRUE(eight.candidates(Collective::SendReceive).empty());
}

TEST(NcclModel, TheChoiceIsTheLeastOfItsCandidates) {
  EXPECT_TRUE(rc::check([] {
    const auto* preset = *rc::gen::element("dgx-a100-80gb", "dgx-h100", "dgx-b200", "l40s-pcie",
                                           "aws-p5-h100", "h100x4-slingshot", "v100-edr");
    const Cluster cluster = load_cluster(preset, kFiles);
    const int nodes = *rc::gen::inRange(1, 9);
    const int ranks = nodes * *rc::gen::inRange(1, cluster.devices_per_node + 1);
    RC_PRE(ranks > 1);
    const NcclModel model(lone_group(ranks, nodes, cluster), cluster,
                          load_nccl_constants("2.28", kFiles));
    const Bytes bytes{std::int64_t{1} << *rc::gen::inRange(0, 34)};
    for (const Collective operation : {Collective::AllGather, Collective::ReduceScatter}) {
      const NcclModel::Choice choice = model.choose(operation, bytes);
      RC_ASSERT(choice.time.count() > 0);
      for (const NcclCandidate& one : model.candidates(operation)) {
        const double time = one.latency() + static_cast<double>(bytes.count) * one.seconds_per_byte;
        RC_ASSERT(choice.time.count() <= time);
      }
    }
  }));
}

TEST(LoadNcclConstants, UnknownVersionNamesTheNearest) {
  EXPECT_THAT(
      [] { (void)load_nccl_constants("2.29", kFiles); },
      testing::ThrowsMessage<profiles::InputError>(testing::HasSubstr("did you mean '2.2")));
}

}  // namespace
}  // namespace meshplan::planner
