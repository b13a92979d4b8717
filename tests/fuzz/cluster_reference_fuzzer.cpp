// --cluster PRESET:NODES/DEVICES and --set KEY=VALUE: one line each.
#include <algorithm>

#include "profiles/cluster_load.h"
#include "tests/fuzz/fuzz_target.h"

using namespace meshplan;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(fuzz::as_text(data, size));
  const std::size_t end = std::min(text.find('\n'), text.size());
  const std::size_t equals = std::min(text.find('=', end), text.size());
  return fuzz::accept_or_refuse([&] {
    static const profiles::DataFiles files;
    profiles::Cluster cluster = profiles::load_cluster(text.substr(0, end), files);
    fuzz::require(cluster.devices() > 0, "a cluster has devices");
    if (end + 1 >= text.size()) return;
    const std::string key = text.substr(end + 1, equals - std::min(equals, end + 1));
    const std::string value = equals < text.size() ? text.substr(equals + 1) : "";
    cluster = profiles::apply_setting(cluster, key, value);
    fuzz::require(cluster.devices() > 0, "a changed cluster has devices");
  });
}
