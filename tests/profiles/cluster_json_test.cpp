#include "profiles/cluster_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "profiles/cluster_load.h"
#include "profiles/input_error.h"

namespace meshplan::profiles {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const DataFiles kFiles;

Cluster read(const std::string& text, const std::string& name = "mine") {
  return read_cluster(JsonNode::parse(text, "c.json"), kFiles, name);
}

std::string refusal(const std::string& text) {
  try {
    (void)read(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

std::string load_refusal(const std::string& text) {
  try {
    (void)load_cluster(text, kFiles);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

std::string setting_refusal(const std::string& key, const std::string& value) {
  try {
    (void)apply_setting(load_cluster("dgx-h100", kFiles), key, value);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

constexpr const char* kWhole = R"({"schema": "meshplan.cluster/1", "name": "mine", "device": "h100",
  "devices_per_node": 8, "nvlink_domain_devices": 8,
  "intra_node": {"kind": "nvswitch", "bytes_per_second_per_device": 450e9},
  "inter_node": {"kind": "infiniband", "nics_per_node": 8, "bytes_per_second_per_nic": 50e9,
                 "latency_seconds": 2e-6, "oversubscription": 2.0}, "nodes": 16})";

TEST(ReadCluster, WhatIsStatedIsNotAssumed) {
  const Cluster cluster = read(kWhole);
  EXPECT_EQ(cluster.device.id, "h100-sxm-80gb");
  EXPECT_EQ(cluster.devices(), 128);
  EXPECT_EQ(cluster.intra_bandwidth.rate, 450e9);
  EXPECT_EQ(cluster.nic_bandwidth.rate, 50e9);
  EXPECT_EQ(cluster.oversubscription, 2.0);
  EXPECT_THAT(cluster.assumed, IsEmpty());
}

TEST(ReadCluster, NullTakesThePresetsValueAndIsListed) {
  const Cluster cluster = read(R"({"device": "a100", "devices_per_node": 8,
    "intra_node": {"kind": "nvswitch", "bytes_per_second_per_device": 300e9},
    "inter_node": {"kind": "roce", "nics_per_node": null, "bytes_per_second_per_nic": null}})");
  // The A100's usual cluster, a DGX: 8 NICs of 200 Gb/s.
  EXPECT_EQ(cluster.nics_per_node, 8);
  EXPECT_EQ(cluster.nic_bandwidth.rate, 25e9);
  EXPECT_THAT(cluster.assumed,
              ElementsAre("inter_node.nics_per_node", "inter_node.bytes_per_second_per_nic"));
}

TEST(ReadCluster, AbsentNetworkIsTheUsualOne) {
  const Cluster cluster = read(R"({"device": "l40s", "devices_per_node": 8,
    "intra_node": {"kind": "pcie", "bytes_per_second_per_device": 32e9}, "inter_node": null})");
  EXPECT_EQ(cluster.nvlink_domain_devices, 1);
  EXPECT_GT(cluster.nic_bandwidth.rate, 0);
  EXPECT_THAT(cluster.assumed, ElementsAre("intra_node.peer_to_peer", "inter_node"));
}

TEST(ReadCluster, DirectCopiesReachAsFarAsStated) {
  const auto with = [](const std::string& reach) {
    return R"({"device": "l40s", "devices_per_node": 8, "inter_node": null,
      "intra_node": {"kind": "pcie", "bytes_per_second_per_device": 32e9, "peer_to_peer": )" +
           reach + "}}";
  };
  EXPECT_EQ(read(with("\"none\"")).peer_to_peer, PeerToPeer::None);
  EXPECT_EQ(read(with("\"switch\"")).peer_to_peer, PeerToPeer::Switch);
  EXPECT_EQ(read(with("\"host\"")).peer_to_peer, PeerToPeer::Host);
  EXPECT_EQ(read(with("null")).peer_to_peer, load_cluster("l40s-pcie", kFiles).peer_to_peer);
  EXPECT_THAT(refusal(with("\"swich\"")), HasSubstr("intra_node/peer_to_peer"));
  EXPECT_THAT(refusal(with("\"swich\"")), HasSubstr("did you mean 'switch'?"));
  const Cluster set =
      apply_setting(load_cluster("l40s-pcie", kFiles), "intra_node.peer_to_peer", "none", kFiles);
  EXPECT_EQ(set.peer_to_peer, PeerToPeer::None);
}

TEST(ReadCluster, AnEthernetOfUnstatedSizeIsNotTheDgxNetwork) {
  const Cluster cluster = read(R"({"device": "a100", "devices_per_node": 8,
    "intra_node": {"kind": "nvswitch", "bytes_per_second_per_device": 300e9},
    "inter_node": {"kind": "ethernet"}})");
  EXPECT_LT(cluster.nics_per_node * cluster.nic_bandwidth.rate, 8 * 25e9);
}

TEST(ReadCluster, PairsReachTwoByNvlink) {
  const Cluster cluster = load_cluster("a100-nvlink-pairs", kFiles);
  EXPECT_EQ(cluster.nvlink_domain_devices, 2);
  EXPECT_EQ(cluster.pcie_bandwidth.rate, 32e9);
}

TEST(ReadCluster, RefusalsNameThePlace) {
  const auto with = [](const std::string& from, const std::string& to) {
    std::string text = kWhole;
    return refusal(text.replace(text.find(from), from.size(), to));
  };
  EXPECT_EQ(refusal(kWhole), "accepted");
  EXPECT_THAT(with("\"nodes\"", "\"node\""), HasSubstr("did you mean 'nodes'?"));
  EXPECT_THAT(with("nvswitch", "nvswich"), HasSubstr("did you mean 'nvswitch'?"));
  EXPECT_THAT(with("infiniband", "token-ring"), HasSubstr("c.json#/inter_node/kind"));
  EXPECT_THAT(with(" 50e9", " 0"), HasSubstr("bytes_per_second_per_nic: expected a number > 0"));
  EXPECT_THAT(with(" 50e9", " -1"), HasSubstr("a number > 0"));
  EXPECT_THAT(with(" 50e9", " NaN"), HasSubstr("valid JSON"));
  EXPECT_THAT(with(" 50e9", " 1e30"), HasSubstr("at most 1e15"));
  EXPECT_THAT(with("\"nodes\": 16", "\"nodes\": 16000000"),
              HasSubstr("at most 10,000,000 devices"));
  EXPECT_THAT(with("\"nodes\": 16", "\"nodes\": 0"), HasSubstr("whole number"));
  EXPECT_THAT(with("\"h100\"", "[\"h100\", \"a100\"]"), HasSubstr("one device"));
  EXPECT_THAT(with("\"device\"", "\"devices\": [\"h100\", \"a100\"], \"device\""),
              HasSubstr("expected one kind of device, as 'device', found a list: \"h100\""));
  EXPECT_THAT(with("\"h100\"", "\"h10\""), HasSubstr("did you mean 'h100'?"));
  EXPECT_THAT(with("2.0}", "0.5}"), HasSubstr("oversubscription"));
  EXPECT_THAT(with("\"nvlink_domain_devices\": 8", "\"nvlink_domain_devices\": 12"),
              HasSubstr("a multiple or a divisor"));
  EXPECT_EQ(with("\"nodes\": 16", "\"nodes\": 1250000"), "accepted");  // 10^7 devices
}

TEST(ReadCluster, GraphStatesAServerWhole) {
  const Cluster cluster = read(R"({"device": "a100", "nodes": 4, "graph": {
    "nodes": [{"name": "g0", "kind": "device"}, {"name": "g1", "kind": "device"},
              {"name": "sw", "kind": "switch"}, {"name": "n0", "kind": "nic"},
              {"name": "cpu", "kind": "host"}],
    "links": [{"from": "g0", "to": "sw", "bytes_per_second": 200e9},
              {"from": "g1", "to": "sw", "bytes_per_second": 150e9},
              {"from": "g0", "to": "cpu", "bytes_per_second": 32e9},
              {"from": "g1", "to": "cpu", "bytes_per_second": 32e9},
              {"from": "cpu", "to": "n0", "bytes_per_second": 20e9}]},
    "inter_node": {"kind": "infiniband"}})");
  EXPECT_EQ(cluster.devices_per_node, 2);
  EXPECT_EQ(cluster.devices(), 8);
  EXPECT_EQ(cluster.intra_kind, IntraNodeKind::NvSwitch);
  EXPECT_EQ(cluster.intra_bandwidth.rate, 150e9);  // the slower of the two devices
  EXPECT_EQ(cluster.nics_per_node, 1);
  EXPECT_EQ(cluster.nic_bandwidth.rate, 20e9);
  EXPECT_EQ(cluster.pcie_bandwidth.rate, 32e9);
  EXPECT_THAT(cluster.assumed, IsEmpty());
}

TEST(ReadCluster, GraphRefusals) {
  const auto graph = [](const std::string& nodes, const std::string& links) {
    return refusal(R"({"device": "a100", "graph": {"nodes": [)" + nodes + R"(], "links": [)" +
                   links + "]}}");
  };
  const std::string two = R"({"name": "g0", "kind": "device"}, {"name": "g1", "kind": "device"})";
  const std::string link = R"({"from": "g0", "to": "g1", "bytes_per_second": 1e9})";
  EXPECT_EQ(graph(two, link), "accepted");
  EXPECT_THAT(graph(two, R"({"from": "g0", "to": "g2", "bytes_per_second": 1e9})"),
              HasSubstr("did you mean 'g0'?"));
  EXPECT_THAT(graph(two, R"({"from": "g0", "to": "g0", "bytes_per_second": 1e9})"),
              HasSubstr("two different vertices"));
  EXPECT_THAT(graph(two, ""), HasSubstr("has no link"));
  EXPECT_THAT(
      graph(R"({"name": "g0", "kind": "device", "device": "h100"})", ""),
      HasSubstr("expected one kind of device, as 'a100-sxm-80gb' of the cluster, found \"h100\""));
  EXPECT_THAT(graph(two + R"(, {"name": "g2", "kind": "device", "host": 1})", link),
              HasSubstr("hosts must be alike"));
  EXPECT_THAT(graph(R"({"name": "s", "kind": "switch"})", ""), HasSubstr("kind device"));
}

TEST(ReadClusterTable, EntriesGoByTheirNames) {
  const auto node = JsonNode::parse(
      R"({"x": {"device": "h200"}, "dgx-a100-40gb": {"device": "a100"}})", "runs.json");
  const ClusterTable table = read_cluster_table(node, kFiles);
  ASSERT_EQ(table.size(), 2U);
  EXPECT_EQ(table.at("x").name, "x");
  EXPECT_EQ(table.at("x").intra_bandwidth.rate, 450e9);
  EXPECT_THAT(table.at("x").assumed, Not(IsEmpty()));
  EXPECT_EQ(load_cluster("x:4", kFiles, table).devices(), 32);
}

TEST(LoadCluster, PresetsStateEverything) {
  for (const std::string& name : kFiles.names("clusters")) {
    const Cluster cluster = load_cluster(name, kFiles);
    EXPECT_EQ(cluster.name, name);
    EXPECT_THAT(cluster.assumed, IsEmpty()) << name;
    EXPECT_FALSE(cluster.source.empty()) << name;
  }
}

TEST(LoadCluster, UsualClustersArePresets) {
  for (const std::string& name : kFiles.names("clusters")) {
    const std::string usual = load_cluster(name, kFiles).device.usual_cluster;
    EXPECT_EQ(load_cluster(usual, kFiles).name, usual);
  }
}

TEST(LoadCluster, SizesFollowTheColon) {
  EXPECT_EQ(load_cluster("dgx-h100:16", kFiles).devices(), 128);
  const Cluster two = load_cluster("dgx-h100:1/2", kFiles);
  EXPECT_EQ(two.devices(), 2);
  EXPECT_EQ(two.devices_per_node, 8);
  EXPECT_EQ(load_cluster("dgx-h100:4/2", kFiles).devices(), 8);
  EXPECT_EQ(load_cluster("dgx-h100:1250000", kFiles).devices(), 10'000'000);
}

TEST(LoadCluster, Refusals) {
  EXPECT_THAT(load_refusal("dgx-h1000"), HasSubstr("did you mean 'dgx-h100'?"));
  EXPECT_THAT(load_refusal("dgx-h100:0"), HasSubstr("NAME:NODES"));
  EXPECT_THAT(load_refusal("dgx-h100:x"), HasSubstr("NAME:NODES"));
  EXPECT_THAT(load_refusal("dgx-h100:-4"), HasSubstr("NAME:NODES"));
  EXPECT_THAT(load_refusal("dgx-h100:1/9"), HasSubstr("at most 8 devices a node"));
  EXPECT_THAT(load_refusal("dgx-h100:2000000"), HasSubstr("at most 10,000,000 devices"));
  EXPECT_THAT(load_refusal("dgx-h100:99999999999"), HasSubstr("NAME:NODES"));
  EXPECT_THAT(load_refusal("missing.json"), HasSubstr("readable file"));
  EXPECT_THAT(load_refusal("localhost:2"), HasSubstr("one machine"));
}

TEST(LoadCluster, LocalhostHasARankForEachCore) {
  const Cluster cluster = load_cluster("localhost", kFiles);
  EXPECT_EQ(cluster.device.id, "host-cpu");
  EXPECT_GE(cluster.devices(), 1);
  EXPECT_EQ(load_cluster("localhost:1/1", kFiles).devices(), 1);
}

TEST(ClusterJson, WritesWhatItReads) {
  for (const std::string& name : kFiles.names("clusters")) {
    const Cluster cluster = load_cluster(name + ":2", kFiles);
    const nlohmann::json once = cluster_json(cluster);
    const Cluster again = read_cluster(JsonNode::parse(once.dump(), "copy"), DataFiles(), name);
    EXPECT_EQ(cluster_json(again), once) << name;
    EXPECT_THAT(again.assumed, IsEmpty()) << name;
  }
}

TEST(ApplySetting, ChangesOneFact) {
  const Cluster base = load_cluster("dgx-h100:2", kFiles);
  const Cluster slower = apply_setting(base, "inter_node.bytes_per_second_per_nic", "25e9");
  EXPECT_EQ(slower.nic_bandwidth.rate, 25e9);
  EXPECT_EQ(slower.nodes, 2);
  EXPECT_EQ(apply_setting(base, "device.memory_bytes", "40000000000").device.memory.count,
            40'000'000'000);
  EXPECT_EQ(apply_setting(base, "device.peak_flops_per_second.fp4", "1e15")
                .device.peak_at(DataType::Fp4)
                .rate,
            1e15);
  EXPECT_EQ(apply_setting(base, "inter_node.kind", "roce").inter_kind, InterNodeKind::Roce);
  EXPECT_EQ(apply_setting(base, "devices_per_node", "4").devices(), 8);
  EXPECT_EQ(apply_setting(base, "devices_per_node", "4").nvlink_domain_devices, 4);
  // A part of a node stays a part of a node.
  EXPECT_EQ(apply_setting(load_cluster("dgx-h100:1/2", kFiles), "host_cpu", "amd").devices(), 2);
}

TEST(ApplySetting, RefusesUnknownKeysAndValues) {
  EXPECT_THAT(setting_refusal("inter_node.bytes_per_second_per_nics", "1"),
              HasSubstr("did you mean 'inter_node.bytes_per_second_per_nic'?"));
  EXPECT_THAT(setting_refusal("device.memory_bytes", "lots"), HasSubstr("a whole number"));
  EXPECT_THAT(setting_refusal("inter_node.bytes_per_second_per_nic", "nan"), HasSubstr("finite"));
  EXPECT_THAT(setting_refusal("inter_node.bytes_per_second_per_nic", "-1"), HasSubstr("> 0"));
  EXPECT_THAT(setting_refusal("intra_node", "x"), HasSubstr("a fact of cluster or device"));
}

}  // namespace
}  // namespace meshplan::profiles
