#pragma once
#include <optional>
#include <string>

#include "profiles/cluster.h"
#include "profiles/cluster_json.h"
#include "profiles/data_files.h"

namespace meshplan::profiles {

/// A cluster by text:
///   PRESET        as the preset says            PRESET:16    with 16 nodes
///   PRESET:1/2    two devices of one node       PRESET:4/2   two devices of each of 4 nodes
///   FILE.json     a cluster file; sizes as above
///   FILE.xml      what NCCL wrote to NCCL_TOPO_DUMP_FILE; FILE.xml:16 is sixteen such servers
///   FILE.txt      what `nvidia-smi topo -m` printed
///   localhost     this machine: one rank a core, or localhost:1/4 (the command puts the machine's
///                 GPUs here, where it finds some: cli/local_cluster.h)
///   host-cpu      the cores of this machine, whatever else it has
/// Names of `named` (the clusters of a runs file) are found before presets.
Cluster load_cluster(const std::string& text, const DataFiles& files,
                     const ClusterTable& named = {});

/// `cluster` with one fact changed, as `--set KEY=VALUE` says:
/// "inter_node.bytes_per_second_per_nic", "device.memory_bytes", ... : the keys of cluster_json.
/// Refuses unknown keys, naming the nearest. "device" puts another kind of device in place: its
/// NVLinks stay as many and run at the new device's speed, what the old one's PCIe bandwidth was
/// becomes the new one's.
Cluster apply_setting(Cluster cluster, const std::string& key, const std::string& value,
                      const DataFiles& files = DataFiles());

}  // namespace meshplan::profiles
