#include "planner/cost/collective/collective_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>

#include "profiles/cluster_load.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::Bytes;
using profiles::Cluster;
using profiles::load_cluster;
using profiles::Seconds;
using namespace profiles::literals;

const profiles::DataFiles kFiles;
constexpr Collective kAll[] = {Collective::AllReduce,     Collective::AllGather,
                               Collective::ReduceScatter, Collective::Broadcast,
                               Collective::AllToAll,      Collective::SendReceive,
                               Collective::Reduce};

const char* any_preset() {
  return *rc::gen::element("dgx-a100-80gb", "dgx-h100", "dgx-b200", "gb200-nvl72", "l40s-pcie",
                           "a100-nvlink-pairs", "aws-p4de-a100", "aws-p5-h100", "gcp-a3mega-h100",
                           "gh200x4-slingshot", "v100-edr");
}

TEST(CollectiveModel, OneRankIsFree) {
  const CollectiveModel model(GroupShape{}, load_cluster("dgx-h100", kFiles));
  for (const Collective operation : kAll) {
    EXPECT_EQ(model.time(operation, 1_GiB).count(), 0);
    EXPECT_EQ(model.estimate(operation, 1_GiB).spread, 0);
  }
}

TEST(CollectiveModel, AnyTwoRanksHaveATime) {
  for (const std::string& name : kFiles.names("clusters")) {
    const Cluster cluster = load_cluster(name + ":2", kFiles);
    for (const int nodes : {1, 2}) {
      const CollectiveModel model(lone_group(2, nodes, cluster), cluster);
      for (const Collective operation : kAll) {
        const double nothing = model.time(operation, 0_B).count();
        const double much = model.time(operation, 1_GiB).count();
        EXPECT_GT(nothing, 1e-7) << name;
        EXPECT_LT(nothing, 1e-3) << name;
        EXPECT_GT(much, nothing) << name;
        EXPECT_LT(much, 10.0) << name;
      }
    }
  }
}

TEST(CollectiveModel, ThreadsReadEachOthersMemory) {
  Cluster cluster = load_cluster("localhost", kFiles);
  cluster.devices_per_node = cluster.devices_used_per_node = 4;
  cluster.intra_bandwidth = {8e9};
  const Bytes size{std::int64_t{8} << 30};
  const auto time = [&](Collective operation, int ranks) {
    return CollectiveModel(lone_group(ranks, 1, cluster), cluster).time(operation, size).count();
  };
  const double all_reduce = 1.073741824;  // 8 GiB at the rate of two ranks
  EXPECT_NEAR(time(Collective::AllReduce, 2), all_reduce, 1e-5);
  // Four ranks read every share four times and copy three of four: 7/4 of the bytes, not 3/2.
  EXPECT_NEAR(time(Collective::AllReduce, 4), all_reduce * 7 / 6, 1e-5);
  EXPECT_NEAR(time(Collective::AllGather, 2), all_reduce * 2 / 3, 1e-5);
  const CollectiveModel model(lone_group(2, 1, cluster), cluster);
  EXPECT_LT(model.time(Collective::AllReduce, Bytes{4}).count(), 5e-6);
  EXPECT_EQ(model.explain(Collective::AllReduce, size).algorithm, "direct");
}

TEST(CollectiveModel, MoreBytesNeverTakeLessTime) {
  EXPECT_TRUE(rc::check([] {
    const Cluster cluster = load_cluster(any_preset(), kFiles);
    const int nodes = *rc::gen::inRange(1, 9);
    const int ranks = nodes * *rc::gen::inRange(1, cluster.devices_per_node + 1);
    const CollectiveModel model(lone_group(ranks, nodes, cluster), cluster);
    const Collective operation = *rc::gen::elementOf(std::vector<Collective>(kAll, kAll + 6));
    const auto size = [] {
      const int octave = *rc::gen::inRange(0, 40);
      return (std::int64_t{1} << octave) + *rc::gen::inRange<std::int64_t>(0, 1L << octave);
    };
    std::int64_t a = size();
    std::int64_t b = size();
    if (a > b) std::swap(a, b);
    RC_ASSERT(model.time(operation, {a}) <= model.time(operation, {b}));
  }));
}

/// Every algorithm at the bandwidth of the links: a wider link never makes it slower.
TEST(NcclCandidates, MoreBandwidthIsNeverSlower) {
  EXPECT_TRUE(rc::check([] {
    Cluster cluster = load_cluster(any_preset(), kFiles);
    const int nodes = *rc::gen::inRange(1, 5);
    const int ranks = nodes * *rc::gen::inRange(1, cluster.devices_per_node + 1);
    RC_PRE(ranks > 1);
    const GroupShape shape = lone_group(ranks, nodes, cluster);
    const auto constants = load_nccl_constants("2.30", kFiles);
    const auto fastest = [&](Algorithm algorithm, Protocol protocol) {
      const NcclModel model(shape, cluster, constants);
      for (const NcclCandidate& one : model.candidates(Collective::AllReduce)) {
        if (one.algorithm == algorithm && one.protocol == protocol) {
          return one.physical_seconds_per_byte;
        }
      }
      return 0.0;
    };
    const Algorithm algorithm =
        *rc::gen::element(Algorithm::Ring, Algorithm::Tree, Algorithm::Nvls, Algorithm::NvlsTree);
    const Protocol protocol = *rc::gen::element(Protocol::Ll, Protocol::Ll128, Protocol::Simple);
    const double before = fastest(algorithm, protocol);
    const double factor = 1 + 0.01 * *rc::gen::inRange(1, 300);
    if (*rc::gen::arbitrary<bool>()) {
      cluster.nic_bandwidth = factor * cluster.nic_bandwidth;
    } else {
      cluster.intra_bandwidth = factor * cluster.intra_bandwidth;
    }
    RC_ASSERT(fastest(algorithm, protocol) <= before * (1 + 1e-12));
  }));
}

TEST(CollectiveModel, BandwidthIsWithinWhatTheLinksCarry) {
  EXPECT_TRUE(rc::check([] {
    const Cluster cluster = load_cluster(any_preset(), kFiles);
    const int nodes = *rc::gen::inRange(1, 9);
    const int ranks = nodes * *rc::gen::inRange(1, cluster.devices_per_node + 1);
    RC_PRE(ranks > 1);
    const GroupShape shape = lone_group(ranks, nodes, cluster);
    const CollectiveModel model(shape, cluster);
    const Bytes bytes = 4_GiB;
    const double size = static_cast<double>(bytes.count);
    // Whatever the algorithm: of a gathered buffer each rank receives (n - 1) / n, through its own
    // links, and a node the part that other nodes hold, through its NICs.
    const double n = ranks;
    const double links = std::max(cluster.intra_bandwidth.rate, cluster.pcie_bandwidth.rate);
    double least =
        size * (n - 1) / n / (links + cluster.nics_per_node * cluster.nic_bandwidth.rate);
    if (shape.nodes > 1) {
      least = std::max(
          least, size * (shape.nodes - 1) / shape.nodes / node_exit_bandwidth(shape, cluster).rate);
    }
    RC_ASSERT(model.time(Collective::AllGather, bytes).count() >= least * 0.999);
  }));
}

TEST(CollectiveModel, GroupsThatShareNicsShareTheirBandwidth) {
  // tp 8 on p4de: 8 data-parallel groups, two on each NIC: twice the time of one alone.
  const Cluster p4de = load_cluster("aws-p4de-a100:4", kFiles);
  Layout layout;
  layout.tp = 8;
  layout.dp = 4;
  const GroupShape shared = group_shape(layout, Axis::Dp, p4de);
  GroupShape alone = shared;
  alone.groups_per_node = alone.groups_per_nic = 1;
  const double crowded = CollectiveModel(shared, p4de).time(Collective::AllGather, 4_GiB).count();
  const double free = CollectiveModel(alone, p4de).time(Collective::AllGather, 4_GiB).count();
  EXPECT_NEAR(crowded / free, 2.0, 0.02);
}

TEST(CollectiveModel, ExchangesPayForEveryPeer) {
  const Cluster h100 = load_cluster("dgx-h100", kFiles);
  const auto empty = [&](int ranks) {
    return CollectiveModel(lone_group(ranks, 1, h100), h100).time(Collective::AllToAll, 0_B);
  };
  const double peer = shipped_collective_profile().exchange_near_peer;
  EXPECT_GT(peer, 0);
  EXPECT_NEAR((empty(8) - empty(2)).count(), 6 * peer, 1e-12);  // 7 peers instead of one
}

/// The shipped constants without any fill, so that times are straight lines.
CollectiveProfile without_fill() {
  CollectiveProfile profile = shipped_collective_profile();
  for (auto& [name, fabric] : profile.fabrics) fabric.fill = 0;
  for (auto& [name, network] : profile.networks) network.fill = 0;
  return profile;
}

TEST(CollectiveModel, SlicesHideHopsBehindLargePieces) {
  const Cluster b200 = load_cluster("dgx-b200", kFiles);
  CollectiveProfile profile = without_fill();
  profile.overlap = 0.5;
  const auto time = [&](Bytes bytes) {
    const CollectiveModel model(lone_group(4, 1, b200), b200, profile, /*ll128=*/false);
    EXPECT_EQ(model.explain(Collective::AllGather, bytes).protocol, "Simple");
    return model.time(Collective::AllGather, bytes).count();
  };
  // Three hops of 2.9 * 3.4 us take longer than half of 8 or 16 MiB at some 500 GB/s: the second
  // slice of each piece moves while the first is handed on. Of 256 and 512 MiB all bytes show.
  const double waiting = time(16_MiB) - time(8_MiB);
  const double moving = time(512_MiB) - time(256_MiB);
  EXPECT_NEAR(waiting / moving, 0.5 * 8 / 256, 1e-6);
  const double small = time(8_MiB);
  const double large = time(512_MiB);
  profile.fabrics.at("blackwell").simple_hop_scale *= 1.5;
  EXPECT_NEAR(time(8_MiB) - small, 3 * 0.5 * 2.89 * 3.4e-6, 0.1e-6);
  EXPECT_EQ(time(512_MiB), large);
}

TEST(CollectiveModel, FillingThePipelineCostsAPartOfTheTransferUpToItsFill) {
  const Cluster a3 = load_cluster("gcp-a3mega-h100", kFiles);
  CollectiveProfile profile = without_fill();
  const auto time = [&](Bytes bytes) {
    return CollectiveModel(lone_group(16, 2, a3), a3, profile)
        .time(Collective::AllGather, bytes)
        .count();
  };
  const double small = time(64_MiB);
  const double twice = time(128_MiB);
  const double large = time(64_GiB);
  NetworkOverhead& network = profile.networks.at("tcpxo");
  network.fill_rate = 3;
  network.fill = 100;  // seconds, of which 128 MiB are far
  EXPECT_NEAR((time(128_MiB) - time(64_MiB)) / (twice - small), 1 + 3, 0.01);
  network.fill = 10e-3;
  EXPECT_NEAR(time(64_GiB) - large, 10e-3, 0.2e-3);
}

TEST(CollectiveModel, OversubscribedSwitchesSlowWholeNodes) {
  Cluster dgx = load_cluster("dgx-h100:8", kFiles);
  const GroupShape whole = lone_group(64, 8, dgx);
  const double flat = CollectiveModel(whole, dgx).time(Collective::AllGather, 8_GiB).count();
  dgx.oversubscription = 4;
  const double thin = CollectiveModel(whole, dgx).time(Collective::AllGather, 8_GiB).count();
  // Four times less than the NICs' 400 GB/s, of which PCIe let 384 through: 384 / 100.
  EXPECT_NEAR(thin / flat, 3.8, 0.25);
}

TEST(CollectiveModel, SlowNetworksHaveSlowFirstBytes) {
  const auto smallest = [](const char* preset) {
    const Cluster cluster = load_cluster(preset, kFiles);
    return CollectiveModel(lone_group(16, 2, cluster), cluster).time(Collective::AllReduce, 8_B);
  };
  EXPECT_LT(smallest("dgx-h100"), smallest("aws-p5-h100"));
  EXPECT_LT(smallest("aws-p5-h100"), smallest("gcp-a3mega-h100"));
  EXPECT_LT(smallest("dgx-a100-80gb"), smallest("aws-p4de-a100"));
}

TEST(CollectiveModel, ExplainAgreesWithTime) {
  const Cluster h100 = load_cluster("dgx-h100", kFiles);
  const CollectiveModel model(lone_group(8, 1, h100), h100);
  for (const Collective operation : kAll) {
    for (const Bytes bytes : {1_B, 64_KiB, 1_GiB}) {
      const CollectiveChoice choice = model.explain(operation, bytes);
      EXPECT_EQ(choice.time, model.time(operation, bytes));
      EXPECT_NEAR((choice.latency + bytes / choice.bandwidth).count(), choice.time.count(), 1e-9);
    }
  }
  EXPECT_EQ(model.explain(Collective::AllReduce, 1_GiB).algorithm, "nvls");
  EXPECT_EQ(model.explain(Collective::SendReceive, 1_GiB).algorithm, "pairwise");
}

TEST(CollectiveModel, AFewMeasuredTimesOfOthers) {
  // nccl-tests on 8 x H100 and 2 x 8 A100 as cloud vendors published them; 15%.
  const Cluster h100 = load_cluster("dgx-h100", kFiles);
  const CollectiveModel eight(lone_group(8, 1, h100), h100);
  EXPECT_NEAR(eight.time(Collective::AllReduce, 1_GiB).count(), 4029.3e-6, 600e-6);
  EXPECT_NEAR(eight.time(Collective::AllGather, 256_MiB).count(), 728.8e-6, 100e-6);
  const Cluster a100 = load_cluster("dgx-a100-80gb", kFiles);
  const CollectiveModel sixteen(lone_group(16, 2, a100), a100);
  EXPECT_NEAR(sixteen.time(Collective::AllReduce, 256_MiB).count(), 2975.4e-6, 450e-6);
}

/// Bus bandwidth of an all-reduce of 256 MiB among `ranks` of the eight devices of a host.
double bus_bandwidth(profiles::PeerToPeer reach, int ranks, Cluster cluster) {
  cluster.peer_to_peer = reach;
  const CollectiveModel model(lone_group(ranks, 1, cluster), cluster);
  const Bytes bytes = 256_MiB;
  return 2.0 * (ranks - 1) / ranks * (bytes / model.time(Collective::AllReduce, bytes)).rate;
}

TEST(CollectiveModel, WithoutNvlinkDirectCopiesDecideWhatRingsGet) {
  using profiles::PeerToPeer;
  const Cluster l40s = load_cluster("l40s-pcie", kFiles);
  for (const int ranks : {4, 8}) {
    EXPECT_GT(bus_bandwidth(PeerToPeer::Host, ranks, l40s),
              2 * bus_bandwidth(PeerToPeer::Switch, ranks, l40s));
  }
  // Two neighbours share a switch; without direct copies they meet in host memory as others do.
  EXPECT_GT(bus_bandwidth(PeerToPeer::Switch, 2, l40s), 15e9);
  EXPECT_LT(bus_bandwidth(PeerToPeer::None, 2, l40s), 6e9);
  EXPECT_LE(bus_bandwidth(PeerToPeer::None, 4, l40s), bus_bandwidth(PeerToPeer::Switch, 4, l40s));
}

TEST(CollectiveModel, ALinkBetweenOldSocketsCarriesLess) {
  const Cluster l40s = load_cluster("l40s-pcie", kFiles);
  Cluster a100 = l40s;
  a100.device.compute_capability = 80;
  EXPECT_LT(bus_bandwidth(profiles::PeerToPeer::Host, 8, a100),
            0.85 * bus_bandwidth(profiles::PeerToPeer::Host, 8, l40s));
}

TEST(CollectiveModel, InHostMemoryAllGroupsMeet) {
  Cluster l40s = load_cluster("l40s-pcie", kFiles);
  GroupShape one = lone_group(4, 1, l40s);
  GroupShape two = one;
  two.groups_per_node = 2;
  const auto slowdown = [&](profiles::PeerToPeer reach) {
    l40s.peer_to_peer = reach;
    return CollectiveModel(two, l40s).time(Collective::AllReduce, 256_MiB) /
           CollectiveModel(one, l40s).time(Collective::AllReduce, 256_MiB);
  };
  EXPECT_NEAR(slowdown(profiles::PeerToPeer::Switch), 2, 0.05);
  EXPECT_EQ(slowdown(profiles::PeerToPeer::Host), 1);
}

TEST(CollectiveModel, ASenderIsDoneBeforeItsReceiver) {
  for (const std::string& name : kFiles.names("clusters")) {
    const Cluster cluster = load_cluster(name + ":2", kFiles);
    for (const int nodes : {1, 2}) {
      const CollectiveModel model(lone_group(2, nodes, cluster), cluster);
      for (const Bytes bytes : {1_B, 1_MiB, 1_GiB}) {
        EXPECT_LE(model.hand_over_time(bytes), model.time(Collective::SendReceive, bytes)) << name;
      }
    }
  }
  // 300 GB/s: 64 MiB leave an A100 in 224 us besides the latency.
  const Cluster a100 = load_cluster("dgx-a100-80gb", kFiles);
  const CollectiveModel pair(lone_group(2, 1, a100), a100);
  EXPECT_NEAR((pair.hand_over_time(64_MiB) - pair.hand_over_time(0_B)).count(), 224e-6, 1e-6);
  // 1 MiB leaves it in 3.5 us, sooner than the fences of blocks take.
  const double fences = shipped_collective_profile().send_block;
  EXPECT_NEAR((pair.hand_over_time(1_MiB) - pair.hand_over_time(0_B)).count(), fences, 1e-9);
  EXPECT_EQ(CollectiveModel(GroupShape{}, a100).hand_over_time(1_GiB).count(), 0);
}

TEST(CollectiveModel, BetweenNodesMessagesGoInBlocks) {
  const Cluster h100 = load_cluster("dgx-h100:2", kFiles);
  const CollectiveModel inside(lone_group(2, 1, h100), h100);
  const CollectiveModel across(lone_group(2, 2, h100), h100);
  EXPECT_EQ(inside.explain(Collective::SendReceive, 1_KiB).protocol, "LL");
  EXPECT_EQ(across.explain(Collective::SendReceive, 1_KiB).protocol, "Simple");
}

TEST(CollectiveModel, OneNvlinkDomainAsPublished) {
  // Bus bandwidths of nccl-tests on GB200 NVL72, 4 devices a host: 2 hosts (lixueduan.com,
  // 13-gb200-mnnvl-nccl-test) and a whole rack (github.com/coreweave/nccl-tests/pull/43); 12%.
  const Cluster rack = load_cluster("gb200-nvl72:18", kFiles);
  const auto bus = [&](int ranks, Bytes bytes) {
    const CollectiveModel model(lone_group(ranks, ranks / 4, rack), rack);
    return 2.0 * (ranks - 1) / ranks * (bytes / model.time(Collective::AllReduce, bytes)).rate;
  };
  EXPECT_NEAR(bus(8, 8_GiB), 811e9, 0.12 * 811e9);
  EXPECT_NEAR(bus(72, 8_GiB), 834.6e9, 0.12 * 834.6e9);
  EXPECT_NEAR(bus(72, 1_GiB), 681.2e9, 0.12 * 681.2e9);
}

TEST(CollectiveModel, AReductionToOneRankTakesWhatABroadcastDoes) {
  const Cluster h100 = load_cluster("dgx-h100:2", kFiles);
  for (const int nodes : {1, 2}) {
    const CollectiveModel model(lone_group(8 * nodes, nodes, h100), h100);
    for (const Bytes bytes : {1_B, 64_KiB, 1_GiB}) {
      EXPECT_EQ(model.time(Collective::Reduce, bytes), model.time(Collective::Broadcast, bytes));
    }
    EXPECT_EQ(model.explain(Collective::Reduce, 1_GiB).algorithm, "ring");
  }
}

TEST(Collective, IsReadAsNcclTestsSpellsIt) {
  for (const Collective operation : kAll) EXPECT_EQ(collective_from(name(operation)), operation);
  EXPECT_EQ(collective_from("alltoall"), Collective::AllToAll);
  EXPECT_EQ(collective_from("sendrecv"), Collective::SendReceive);
  EXPECT_EQ(collective_from("all-reduce"), Collective::AllReduce);
  EXPECT_EQ(collective_from("reduce"), Collective::Reduce);
  EXPECT_FALSE(collective_from("all"));
}

TEST(CollectiveModel, SaysHowItKnows) {
  const Cluster h100 = load_cluster("dgx-h100", kFiles);
  EXPECT_EQ(collective_time(Collective::AllReduce, 1_MiB, lone_group(8, 1, h100), h100).provenance,
            Provenance::Interpolated);
  EXPECT_EQ(collective_time(Collective::AllReduce, 1_MiB, lone_group(64, 8, h100), h100).provenance,
            Provenance::Extrapolated);
  EXPECT_GT(collective_time(Collective::AllReduce, 1_MiB, lone_group(64, 8, h100), h100).spread, 0);
}

TEST(CollectiveModel, UnknownNcclIsRefused) {
  Cluster h100 = load_cluster("dgx-h100", kFiles);
  h100.nccl_version = "1.0";
  EXPECT_THROW(CollectiveModel(lone_group(8, 1, h100), h100), profiles::InputError);
}

TEST(CollectiveFrom, NamesGoBothWays) {
  for (const Collective operation : kAll) EXPECT_EQ(collective_from(name(operation)), operation);
  EXPECT_EQ(collective_from("all-reduce"), Collective::AllReduce);
  EXPECT_EQ(collective_from("all_scatter"), std::nullopt);
}

}  // namespace
}  // namespace meshplan::planner
