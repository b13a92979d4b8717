#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "profiles/cluster.h"
#include "profiles/data_files.h"

namespace meshplan::profiles {

/// One server as a tool saw it: its GPUs, what joins them, its NICs. Readers: topology_xml.h
/// (NCCL), topology_matrix.h (nvidia-smi).
struct Topology {
  struct Gpu {
    std::string name;                    ///< bus id or "GPU0": for messages
    std::string pci_device;              ///< "0x2330"; empty: not stated
    std::string product;                 ///< "NVIDIA H200"; empty: not stated
    int compute_capability = 0;          ///< 90; 0: not stated
    int switch_links = 0;                ///< NVLinks to NVSwitches
    std::map<int, int> peer_links;       ///< NVLinks by index of the other GPU
    std::optional<BytesPerSecond> pcie;  ///< one direction
  };
  struct Nic {
    std::string name;
    std::optional<BytesPerSecond> bandwidth;
    std::optional<InterNodeKind> kind;
    bool beside_gpu = false;  ///< shares a PCIe switch with a GPU
  };
  std::vector<Gpu> gpus;
  std::vector<Nic> nics;
  bool links_stated = true;  ///< false: of NVLinks nothing is known
  std::string host_cpu;      ///< "intel", "amd", "arm"; empty: not stated
  std::string source;        ///< file, for messages
};

/// A file of `nvidia-smi topo -m` (.txt) or of NCCL_TOPO_DUMP_FILE (.xml), by its name.
Topology read_topology_file(const std::string& path);
/// Whether `path` is named like one.
bool is_topology_file(const std::string& path);

/// A cluster of one such server.
///
///   NVLinks to switches               nvswitch
///   one peer each, the same count     nvlink-pairs
///   every peer, the same count        nvlink-mesh
///   none                              pcie
///   anything else                     the graph of links, stated whole
///   not stated                        as in the device's usual cluster
///
/// Links run at the device's speed, NICs at the speed that the file states. Of NICs those count
/// that share a PCIe switch with a GPU (the others serve storage and management); all, where none
/// does. The device is told by its PCI id or product; where neither is stated it is guessed from
/// compute capability and NVLinks, and "device" is among Cluster::assumed. What no file states is
/// as in the device's usual cluster, and among `assumed` too. Throws InputError for no GPU, several
/// kinds of GPU, GPUs outside the switch.
Cluster cluster_of(const Topology& topology, const DataFiles& files, const std::string& name);

}  // namespace meshplan::profiles
