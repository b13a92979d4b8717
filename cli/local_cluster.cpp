#include "cli/local_cluster.h"

#include <cstdio>

#include "profiles/cluster_load.h"
#include "profiles/input_error.h"
#include "runtime/device/local_topology.h"

namespace meshplan::cli {

profiles::Cluster cluster_from(const std::string& text, const profiles::DataFiles& files) {
  constexpr const char* kHere = "localhost";
  profiles::ClusterTable own;
  if (text.substr(0, text.find(':')) == kHere) {
    std::string why;
    try {
      if (const runtime::Engine* const engine = runtime::find_engine(why)) {
        own[kHere] = cluster_of(topology_of(*engine), files, kHere);
      }
    } catch (const profiles::InputError& error) {
      why = error.what();
    } catch (const runtime::EngineFailure& failure) {
      why = failure.what();
    }
    if (!why.empty()) {
      std::fprintf(stderr, "meshplan: note: localhost is its cores: %s\n", why.c_str());
    }
  }
  return profiles::named_at("--cluster", "cluster", [&] { return load_cluster(text, files, own); });
}

}  // namespace meshplan::cli
