#pragma once
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "planner/cost/collective/call_timing.h"
#include "profiles/cluster.h"
#include "profiles/data_files.h"

namespace meshplan::planner {

/// What a published source of measured collectives says of itself, or the rows of it that constants
/// are fitted on show, beyond the columns of a table.
struct CollectiveSource {
  CallTiming timing = CallTiming::Launched;
  /// Facts of its hosts that differ from the cluster's, by the cluster's name: keys and values of
  /// profiles::apply_setting.
  std::map<std::string, std::map<std::string, std::string>> hosts;
  std::set<std::string> without_ll128;  ///< names of clusters on which NCCL ran without LL128
};

/// Sources by the text that their rows' column `source` begins with.
using CollectiveSources = std::map<std::string, CollectiveSource>;

/// profiles/data/collectives/sources.json.
CollectiveSources load_collective_sources(const profiles::DataFiles& files);
/// That of the binary; read once.
const CollectiveSources& shipped_collective_sources();

/// How rows of a source were timed. Any text but the known ones is taken for a log of nccl-tests
/// without options: Launched. An empty one: Graph.
CallTiming call_timing_of_source(std::string_view text,
                                 const CollectiveSources& sources = shipped_collective_sources());

/// `cluster` as the hosts of that source were.
profiles::Cluster host_of_source(profiles::Cluster cluster, std::string_view text,
                                 const CollectiveSources& sources = shipped_collective_sources());

/// Whether NCCL had LL128 in that source's runs on the cluster of this name.
bool source_has_ll128(std::string_view cluster, std::string_view text,
                      const CollectiveSources& sources = shipped_collective_sources());

}  // namespace meshplan::planner
