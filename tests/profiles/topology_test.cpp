// The files in topologies/ are written by hand after the published formats (nccl src/graph/xml.cc;
// nvidia-smi's legend), with the links, ports and PCI ids of machines that are sold:
//   dgx_h100.xml     8 H100 SXM on 4 NVSwitches (5 + 4 + 4 + 5 links), an NDR port beside each, and
//   a
//                    storage port elsewhere
//   dgx_a100.xml     8 A100 SXM 80 GB on 6 NVSwitches (2 links each), 8 HDR ports
//   l40s_pcie.xml    4 L40S on PCIe 4.0, one 10 Gb/s socket that NCCL lists under both CPUs
//   a40_pairs.xml    4 A40 in two bridged pairs, one 100 Gb/s port of Ethernet
//   dgx1_v100.xml    8 V100 in the hybrid cube mesh of the DGX-1: one or two links to four peers
//   *.txt            the same kinds of machine as nvidia-smi topo -m shows them
#include "profiles/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <nlohmann/json.hpp>

#include "profiles/cluster_json.h"
#include "profiles/cluster_load.h"
#include "profiles/input_error.h"
#include "profiles/product_names.h"
#include "profiles/topology_matrix.h"
#include "profiles/topology_xml.h"

namespace meshplan::profiles {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const DataFiles kFiles;

std::string path_of(const std::string& file) {
  return std::string(SOURCE_DIR) + "/tests/profiles/topologies/" + file;
}
Cluster imported(const std::string& file) { return load_cluster(path_of(file), kFiles); }

std::string xml_refusal(const std::string& text) {
  try {
    (void)cluster_of(read_topology_xml(text, "t.xml"), kFiles, "t");
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}
std::string matrix_refusal(const std::string& text) {
  try {
    (void)cluster_of(read_topology_matrix(text, "t.txt"), kFiles, "t");
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(TopologyXml, ADgxH100IsThePreset) {
  const Cluster found = imported("dgx_h100.xml");
  const Cluster preset = load_cluster("dgx-h100", kFiles);
  EXPECT_THAT(found.assumed, IsEmpty());
  EXPECT_EQ(found.device.id, preset.device.id);
  EXPECT_EQ(found.devices_per_node, 8);
  EXPECT_EQ(found.nodes, 1);
  EXPECT_EQ(found.intra_kind, IntraNodeKind::NvSwitch);
  EXPECT_EQ(found.intra_bandwidth, preset.intra_bandwidth);  // 18 links of 25 GB/s
  EXPECT_EQ(found.inter_kind, InterNodeKind::Infiniband);
  EXPECT_EQ(found.nics_per_node, 8);                       // the storage port is no part of it
  EXPECT_EQ(found.nic_bandwidth, preset.nic_bandwidth);    // 400 Gb/s
  EXPECT_EQ(found.pcie_bandwidth, preset.pcie_bandwidth);  // 32 GT/s on 16 lanes: 64 GB/s
  EXPECT_EQ(found.nic_latency, preset.nic_latency);
  EXPECT_EQ(found.host_cpu, "intel");
}

TEST(TopologyXml, ADgxA100) {
  const Cluster found = imported("dgx_a100.xml");
  EXPECT_EQ(found.device.id, "a100-sxm-80gb");
  EXPECT_EQ(found.intra_kind, IntraNodeKind::NvSwitch);
  EXPECT_DOUBLE_EQ(found.intra_bandwidth.rate, 300e9);  // 6 switches, 2 links each, 25 GB/s
  EXPECT_EQ(found.nics_per_node, 8);
  EXPECT_DOUBLE_EQ(found.nic_bandwidth.rate, 25e9);   // 200 Gb/s
  EXPECT_DOUBLE_EQ(found.pcie_bandwidth.rate, 32e9);  // 16 GT/s on 16 lanes
  EXPECT_EQ(found.host_cpu, "amd");
}

TEST(TopologyXml, GpusOnPcieAndOneSocket) {
  const Cluster found = imported("l40s_pcie.xml");
  EXPECT_EQ(found.device.id, "l40s-48gb");
  EXPECT_EQ(found.intra_kind, IntraNodeKind::Pcie);
  EXPECT_DOUBLE_EQ(found.intra_bandwidth.rate, 32e9);
  EXPECT_EQ(found.nics_per_node, 1);  // listed twice
  EXPECT_EQ(found.inter_kind, InterNodeKind::Ethernet);
  EXPECT_DOUBLE_EQ(found.nic_bandwidth.rate, 1.25e9);
}

TEST(TopologyXml, BridgedPairs) {
  const Cluster found = imported("a40_pairs.xml");
  EXPECT_EQ(found.device.id, "a40-48gb");
  EXPECT_EQ(found.intra_kind, IntraNodeKind::NvLinkPairs);
  EXPECT_DOUBLE_EQ(found.intra_bandwidth.rate, 4 * 14.0625e9);
  EXPECT_EQ(found.inter_kind, InterNodeKind::Roce);
  EXPECT_EQ(found.nvlink_domain_devices, 2);
}

TEST(TopologyXml, AHybridCubeMeshIsStatedWhole) {
  const Cluster found = imported("dgx1_v100.xml");
  EXPECT_EQ(found.device.id, "v100-sxm2-16gb");
  // Eight GPUs with four peers each: 16 links between them; 8 and 2 to the host.
  ASSERT_EQ(found.graph_links.size(), 16 + 8 + 2);
  double between_gpus = 0;
  for (const GraphLink& link : found.graph_links) {
    const auto kind = [&](int end) {
      return found.graph_nodes[static_cast<std::size_t>(end)].kind;
    };
    if (kind(link.from) == GraphNode::Kind::Device && kind(link.to) == GraphNode::Kind::Device) {
      between_gpus += link.bandwidth.rate;
    }
  }
  EXPECT_DOUBLE_EQ(between_gpus, 24 * 25e9);  // 6 links a GPU, each counted once
  EXPECT_EQ(found.nics_per_node, 2);
  EXPECT_DOUBLE_EQ(found.nic_bandwidth.rate, 12.5e9);
}

TEST(TopologyXml, SizesAreWrittenBehindTheFile) {
  const Cluster found = load_cluster(path_of("dgx_h100.xml") + ":16", kFiles);
  EXPECT_EQ(found.nodes, 16);
  EXPECT_EQ(found.devices(), 128);
  EXPECT_EQ(found.name, "dgx_h100");
  EXPECT_EQ(load_cluster(path_of("dgx_h100.xml") + ":1/2", kFiles).devices(), 2);
}

TEST(TopologyXml, RefusalsNameLineAndElement) {
  EXPECT_THAT(xml_refusal("<system>\n<cpu>"), HasSubstr("t.xml:2: expected XML"));
  EXPECT_THAT(xml_refusal("<graphs/>"), HasSubstr("a <system> element"));
  EXPECT_THAT(xml_refusal("<system version=\"1\"/>"), HasSubstr("at least one GPU"));
  const std::string head = "<system>\n<cpu>\n<pci busid=\"1\" device=\"0x2330\">\n";
  const std::string tail = "</pci></cpu></system>";
  EXPECT_THAT(xml_refusal(head + "<gpu/>" + tail),
              HasSubstr("t.xml:4 <gpu>: expected the attribute 'sm'"));
  EXPECT_THAT(xml_refusal(head + "<gpu sm=\"many\"/>" + tail), HasSubstr("found 'many'"));
  EXPECT_THAT(xml_refusal(head + "<gpu sm=\"90\"><nvlink count=\"0\"/></gpu>" + tail),
              HasSubstr("<nvlink>"));
  EXPECT_THAT(xml_refusal("<system><cpu><pci><gpu sm=\"90\"/></pci></cpu></system>"),
              HasSubstr("'busid'"));
  EXPECT_THAT(xml_refusal("<system><cpu><pci busid=\"1\"><gpu sm=\"75\"/></pci></cpu></system>"),
              HasSubstr("a compute capability of"));
  EXPECT_THAT(xml_refusal("<system><cpu host_hash=\"1\"/><cpu host_hash=\"2\"/></system>"),
              HasSubstr("one server"));
  EXPECT_THAT(
      xml_refusal("<system><cpu><pci busid=\"1\" device=\"0x2330\"><gpu sm=\"90\"/></pci>"
                  "<pci busid=\"2\" device=\"0x20b2\"><gpu sm=\"80\"/></pci></cpu></system>"),
      HasSubstr("one kind of device"));
  EXPECT_THAT(
      xml_refusal("<system><cpu><pci busid=\"1\" device=\"0x2330\"><gpu sm=\"90\">"
                  "<nvlink count=\"18\" target=\"x\" tclass=\"0x068000\"/></gpu></pci>"
                  "<pci busid=\"2\" device=\"0x2330\"><gpu sm=\"90\"/></pci></cpu></system>"),
      HasSubstr("NVLinks to the switch"));
  EXPECT_THAT(
      xml_refusal("<system><cpu><pci busid=\"1\" device=\"0x2235\"><gpu sm=\"86\">"
                  "<nvlink count=\"4\" target=\"2\" tclass=\"0x030200\"/></gpu></pci>"
                  "<pci busid=\"2\" device=\"0x2235\"><gpu sm=\"86\"/></pci></cpu></system>"),
      HasSubstr("both GPUs state alike"));
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "<pci>";
  std::string closed;
  for (int i = 0; i < 100; ++i) closed += "</pci>";
  EXPECT_THAT(xml_refusal("<system><cpu>" + deep + closed + "</cpu></system>"),
              HasSubstr("64 levels"));
}

TEST(TopologyXml, AnUnknownPciIdIsGuessedAndSaidSo) {
  const Cluster found = cluster_of(
      read_topology_xml(
          "<system><cpu arch=\"arm64\"><pci busid=\"1\" device=\"0xffff\"><gpu sm=\"100\">"
          "<nvlink count=\"18\" target=\"fffffff:ff:ff.0\" tclass=\"0x068000\"/>"
          "</gpu></pci></cpu></system>",
          "t.xml"),
      kFiles, "t");
  EXPECT_EQ(found.device.id, "gb200-186gb");
  EXPECT_EQ(found.host_cpu, "arm");
  EXPECT_THAT(found.assumed, Contains("device"));
  EXPECT_THAT(found.assumed, Contains("inter_node"));
}

TEST(TopologyMatrix, ASwitchIsRecognised) {
  const Cluster found = imported("dgx_h100.txt");  // its header is underlined, as on a terminal
  EXPECT_EQ(found.intra_kind, IntraNodeKind::NvSwitch);
  EXPECT_DOUBLE_EQ(found.intra_bandwidth.rate, 450e9);
  EXPECT_EQ(found.nics_per_node, 8);  // those at PXB of a GPU
  EXPECT_THAT(found.assumed, Contains("device"));
  EXPECT_THAT(found.assumed, Contains("inter_node.bytes_per_second_per_nic"));
}

TEST(TopologyMatrix, PairsMeshesAndPcie) {
  const Cluster pairs = imported("a40_pairs.txt");
  EXPECT_EQ(pairs.intra_kind, IntraNodeKind::NvLinkPairs);
  EXPECT_EQ(pairs.device.id, "a40-48gb");
  const Cluster mesh = imported("a100_mesh.txt");  // 3 peers at 4 links: all 12 of an A100
  EXPECT_EQ(mesh.intra_kind, IntraNodeKind::NvLinkMesh);
  EXPECT_EQ(mesh.device.id, "a100-sxm-80gb");
  EXPECT_DOUBLE_EQ(mesh.intra_bandwidth.rate, 300e9);
  const Cluster pcie = imported("pcie_pair.txt");
  EXPECT_EQ(pcie.intra_kind, IntraNodeKind::Pcie);
  EXPECT_EQ(pcie.devices_per_node, 2);
}

TEST(TopologyMatrix, AnOddGpuBesideAPairIsALinkOfItsOwn) {
  const Topology read = read_topology_matrix(
      "\tGPU0\tGPU1\tGPU2\nGPU0\tX\tNV4\tSYS\nGPU1\tNV4\tX\tSYS\nGPU2\tSYS\tSYS\tX\n", "t.txt");
  const Cluster cluster = cluster_of(read, kFiles, "t");
  EXPECT_EQ(cluster.graph_links.size(), 1 + 3);  // the pair's, and each to the host
  EXPECT_EQ(cluster.nvlink_domain_devices, 1);
}

TEST(TopologyMatrix, RefusalsNameTheLine) {
  EXPECT_THAT(matrix_refusal(""), HasSubstr("begins with GPU0"));
  EXPECT_THAT(matrix_refusal("\tGPU0\tGPU1\nGPU0\tX\tNV99\nGPU1\tNV99\tX\n"),
              HasSubstr("t.txt:2: expected X, NV1 to NV18"));
  EXPECT_THAT(matrix_refusal("\tGPU0\tGPU1\nGPU0\tX\n"), HasSubstr("2 cells"));
  EXPECT_THAT(matrix_refusal("\tGPU0\tGPU1\nGPU0\tX\tSYS\n"), HasSubstr("a row of GPU1"));
  EXPECT_THAT(matrix_refusal("\tGPU0\tGPU1\nGPU0\tX\tSYS\nGPU1\tNODE\tX\n"),
              HasSubstr("both ways"));
  EXPECT_THAT(matrix_refusal("\tGPU0\tGPU0\nGPU0\tX\tSYS\n"), HasSubstr("twice"));
}

TEST(TopologyMatrix, AMeshOfAnyCountsIsReadBack) {
  EXPECT_TRUE(rc::check("each pair keeps its links", [] {
    const int gpus = *rc::gen::inRange(1, 9);
    std::vector<std::vector<int>> links(static_cast<std::size_t>(gpus),
                                        std::vector<int>(static_cast<std::size_t>(gpus)));
    for (int i = 0; i < gpus; ++i) {
      for (int j = 0; j < i; ++j) links[i][j] = links[j][i] = *rc::gen::inRange(0, 3);
    }
    std::string text = "\t";
    for (int i = 0; i < gpus; ++i) text += "GPU" + std::to_string(i) + "\t";
    text += "CPU Affinity\n";
    for (int i = 0; i < gpus; ++i) {
      text += "GPU" + std::to_string(i);
      for (int j = 0; j < gpus; ++j) {
        text += i == j             ? "\t X "
                : links[i][j] == 0 ? "\tSYS"
                                   : "\tNV" + std::to_string(links[i][j]);
      }
      text += "\t0-31\n";
    }
    const Topology found = read_topology_matrix(text, "t.txt");
    RC_ASSERT(found.gpus.size() == static_cast<std::size_t>(gpus));
    for (int i = 0; i < gpus; ++i) {
      for (int j = 0; j < gpus; ++j) {
        const auto& peers = found.gpus[i].peer_links;
        const auto at = peers.find(j);
        RC_ASSERT((at == peers.end() ? 0 : at->second) == links[i][j]);
      }
    }
  }));
}

TEST(SetDevice, LinksStayAsManyAndRunAtTheNewSpeed) {
  const Cluster guessed = imported("dgx_h100.txt");
  const Cluster h200 = apply_setting(guessed, "device", "h200");
  EXPECT_EQ(h200.device.id, "h200-sxm-141gb");
  EXPECT_EQ(h200.intra_bandwidth, guessed.intra_bandwidth);
  EXPECT_THAT(h200.assumed, Not(Contains("device")));
  // NVLink 5 runs at twice the speed of NVLink 4.
  EXPECT_DOUBLE_EQ(apply_setting(guessed, "device", "b200").intra_bandwidth.rate, 900e9);
  EXPECT_THROW((void)apply_setting(guessed, "device", "l40s"), InputError);
}

TEST(Imported, ReadsBackAsAClusterFile) {
  for (const char* file : {"dgx_h100.xml", "dgx_a100.xml", "l40s_pcie.xml", "a40_pairs.xml",
                           "dgx1_v100.xml", "dgx_h100.txt", "a100_mesh.txt"}) {
    const Cluster cluster = imported(file);
    const std::string written = cluster_json(cluster).dump();
    EXPECT_EQ(
        cluster_json(read_cluster(JsonNode::parse(written, file), kFiles, cluster.name)).dump(),
        written)
        << file;
  }
}

TEST(Products, AreFoundByWholeWords) {
  EXPECT_EQ(device_of_product("NVIDIA H200"), "h200-sxm-141gb");
  EXPECT_EQ(device_of_product("NVIDIA H100 80GB HBM3"), "h100-sxm-80gb");
  EXPECT_EQ(device_of_product("NVIDIA H100 PCIe"), "h100-pcie-80gb");
  EXPECT_EQ(device_of_product("NVIDIA A100-SXM4-40GB"), "a100-sxm-40gb");
  EXPECT_EQ(device_of_product("NVIDIA A100 80GB PCIe"), "a100-pcie-80gb");
  EXPECT_EQ(device_of_product("NVIDIA GH200 480GB"), "gh200-96gb");
  EXPECT_EQ(device_of_product("NVIDIA L40S"), "l40s-48gb");
  EXPECT_EQ(device_of_product("NVIDIA RTX PRO 6000 Blackwell Server Edition"), "rtx-pro-6000-96gb");
  // Products of other memory, and names that only begin alike.
  for (const char* other : {"NVIDIA A100-PCIE-40GB", "NVIDIA H100 NVL", "NVIDIA A400", "NVIDIA L40",
                            "Tesla V100-SXM2-32GB", "NVIDIA GeForce RTX 4090", ""}) {
    EXPECT_EQ(device_of_product(other), std::nullopt) << other;
  }
}

TEST(ClusterOfTopology, OfAStatedProductOnlyItsPresetWillDo) {
  Topology here;
  here.source = "localhost";
  here.gpus.resize(2);
  for (Topology::Gpu& gpu : here.gpus) {
    gpu.product = "NVIDIA H200";
    gpu.switch_links = 18;
  }
  const Cluster joined = cluster_of(here, DataFiles(), "localhost");
  EXPECT_EQ(joined.device.id, "h200-sxm-141gb");
  EXPECT_EQ(joined.intra_bandwidth, BytesPerSecond{450e9});  // 18 NVLinks of 25 GB/s
  here.links_stated = false;
  const Cluster unknown = cluster_of(here, DataFiles(), "localhost");
  EXPECT_EQ(unknown.intra_kind, joined.intra_kind);  // as in a DGX
  EXPECT_THAT(unknown.assumed, Contains(testing::StartsWith("intra_node")));
  for (Topology::Gpu& gpu : here.gpus) gpu.product = "NVIDIA GeForce RTX 4090";
  EXPECT_THROW(cluster_of(here, DataFiles(), "localhost"), InputError);
}

}  // namespace
}  // namespace meshplan::profiles
