// Cluster files: what is read can be written and read back the same.
#include <nlohmann/json.hpp>

#include "profiles/cluster_json.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return fuzz::accept_or_refuse([&] {
    static const profiles::DataFiles files;
    const auto document = profiles::JsonNode::parse(fuzz::as_text(data, size), "cluster.json");
    const profiles::Cluster cluster = profiles::read_cluster(document, files, "fuzzed");
    const std::string written = profiles::cluster_json(cluster).dump();
    std::string again;
    try {
      const auto reread = profiles::JsonNode::parse(written, "written");
      again = profiles::cluster_json(profiles::read_cluster(reread, files, "fuzzed")).dump();
    } catch (const profiles::InputError&) {
      fuzz::require(false, "a cluster that was written is accepted");
    }
    fuzz::require(again == written, "a cluster reads back as it was written");
  });
}
