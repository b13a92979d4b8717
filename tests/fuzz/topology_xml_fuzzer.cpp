// Topologies as NCCL writes them: what is read is a cluster that can be written and read back.
#include <nlohmann/json.hpp>

#include "profiles/cluster_json.h"
#include "profiles/topology_xml.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::accept_or_refuse([&] {
    static const profiles::DataFiles files;
    const std::string text(fuzz::as_text(data, size));
    const auto topology = profiles::read_topology_xml(text, "topology");
    const profiles::Cluster cluster = profiles::cluster_of(topology, files, "fuzzed");
    const std::string written = profiles::cluster_json(cluster).dump();
    try {
      const auto reread = profiles::JsonNode::parse(written, "written");
      fuzz::require(
          profiles::cluster_json(profiles::read_cluster(reread, files, "fuzzed")).dump() == written,
          "a cluster reads back as it was written");
    } catch (const profiles::InputError&) {
      fuzz::require(false, "a cluster that was written is accepted");
    }
  });
}
