#pragma once
#include <array>
#include <map>
#include <string>
#include <vector>

#include "profiles/data_files.h"
#include "profiles/json_node.h"

namespace meshplan::planner {

/// Orders in which NCCL compares; ties go to the first.
enum class Algorithm : unsigned char { Tree, Ring, Nvls, NvlsTree };
enum class Protocol : unsigned char { Ll, Ll128, Simple };
constexpr int kAlgorithms = 4;
constexpr int kProtocols = 3;
/// Where a hop runs.
enum class Medium : unsigned char { NvLink, Pcie, Network };

/// Constants of NCCL's tuning model, one file per NCCL version: profiles/data/collectives/
/// nccl-<version>.json. Seconds and bytes per second. Rows "by generation": volta, ampere, hopper,
/// blackwell; columns "by nodes": 1, 2, more.
struct NcclConstants {
  template <typename T>
  using ByProtocol = std::array<T, kProtocols>;
  using ByGenerationAndNodes = std::array<std::array<double, 3>, 4>;

  std::string version;
  std::array<ByProtocol<double>, kAlgorithms> base_latency{};
  std::array<std::array<ByProtocol<double>, kAlgorithms>, 3> hop_latency{};  ///< by medium
  std::map<std::string, double> host_overhead;                               ///< by CPU vendor
  ByGenerationAndNodes ll{};          ///< cap of LL, all channels together
  ByGenerationAndNodes ring_ll128{};  ///< caps of one channel
  ByGenerationAndNodes tree_ll128{};
  ByGenerationAndNodes tree{};
  ByGenerationAndNodes nvls_tree{};
  std::array<double, 4> nvls_efficiency{};
  ByProtocol<std::array<double, 24>> tree_correction{};  ///< by floor(log2(bytes / 64))
  bool correct_nvls_tree = false;
  /// Speeds that the search of channels tries, largest first, by least compute capability.
  std::map<int, std::vector<double>> intra_speeds, inter_speeds;
  std::map<int, double> nvlink_share;  ///< of the data sheet's rate, by least compute capability
  double pcie_share = 0;               ///< the same of PCIe
};

NcclConstants read_nccl_constants(const profiles::JsonNode& node);
/// Of "2.28", "2.30", ...; refuses versions without a file, naming the nearest.
NcclConstants load_nccl_constants(const std::string& version, const profiles::DataFiles& files);

}  // namespace meshplan::planner
