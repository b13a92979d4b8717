#pragma once
#include <nlohmann/json_fwd.hpp>

#include "profiles/cluster.h"
#include "profiles/json_node.h"

namespace meshplan::profiles {

/// Reads "graph": {"nodes": [...], "links": [...]} into `cluster` and derives its short form from
/// it: devices and NICs per server, kinds, bandwidths. A vertex that names another device than
/// `device_id` is refused.
///
///   {"name": "gpu0", "kind": "device|switch|nic|host", "host": 0, "device": "h100"}
///   {"from": "gpu0", "to": "switch0", "bytes_per_second": 450e9, "latency_seconds": 0}
///
/// Servers must be alike. Vertices without "host" belong to server 0, with null to the network.
void read_cluster_graph(const JsonNode& graph, const std::string& device_id, Cluster& cluster);

nlohmann::json cluster_graph_json(const Cluster& cluster);

}  // namespace meshplan::profiles
