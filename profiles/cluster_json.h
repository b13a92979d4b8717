#pragma once
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "profiles/cluster.h"
#include "profiles/data_files.h"
#include "profiles/json_node.h"

namespace meshplan::profiles {

/// A cluster as a file, or an entry of "clusters" in a runs file, states it. `schema` and `name`
/// may be absent in an entry; `name` is what it is called there. What is null or absent takes the
/// value of the preset of that name, else of the device's usual cluster, and is listed in
/// Cluster::assumed. Refuses unknown keys, values that no hardware has, and several kinds of
/// device.
Cluster read_cluster(const JsonNode& node, const DataFiles& files, const std::string& name);

/// Clusters by the name that runs and tables use for them.
using ClusterTable = std::map<std::string, Cluster>;
/// The object "clusters" of a runs file, or of a file of schema meshplan.clusters/1.
ClusterTable read_cluster_table(const JsonNode& clusters, const DataFiles& files);

/// The cluster with every default filled in and the device whole, as read_cluster accepts it.
nlohmann::json cluster_json(const Cluster& cluster);

}  // namespace meshplan::profiles
