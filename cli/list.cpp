#include <CLI/App.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/table.h"
#include "planner/model/config.h"
#include "planner/model/parameters.h"
#include "profiles/cluster_load.h"
#include "profiles/data_files.h"
#include "profiles/device_json.h"
#include "profiles/device_profile.h"
#include "profiles/input_error.h"
#include "profiles/nearest_name.h"
#include "profiles/number_format.h"

namespace meshplan::cli {
namespace {

using nlohmann::json;
using profiles::human;

struct Options {
  std::string what, profiles;
  bool as_json = false;
};

struct Listing {
  Table table;
  json entries = json::array();
};

Listing models(const profiles::DataFiles& files) {
  Listing out{Table({{"model", Table::Align::Left},
                     {"parameters"},
                     {"layers"},
                     {"hidden"},
                     {"heads"},
                     {"kv"},
                     {"ffn"},
                     {"vocab"},
                     {"experts"}})};
  for (const std::string& name : files.names("models")) {
    const planner::Transformer model = planner::load_model(name, files);
    const std::int64_t parameters = planner::parameter_count(model);
    out.table.add({name, profiles::human_count(static_cast<double>(parameters)),
                   std::to_string(model.layers), std::to_string(model.hidden),
                   std::to_string(model.heads), std::to_string(model.kv_heads),
                   std::to_string(model.ffn), std::to_string(model.vocab),
                   model.experts ? std::to_string(model.experts->count) : ""});
    out.entries.push_back({{"name", name}, {"parameters", parameters}, {"layers", model.layers}});
  }
  return out;
}

Listing clusters(const profiles::DataFiles& files) {
  Listing out{Table({{"cluster", Table::Align::Left},
                     {"device", Table::Align::Left},
                     {"devices/node"},
                     {"intra-node"},
                     {"NICs"},
                     {"per NIC"}})};
  for (const std::string& name : files.names("clusters")) {
    const profiles::Cluster cluster = profiles::load_cluster(name, files);
    out.table.add({name, cluster.device.id, std::to_string(cluster.devices_per_node),
                   human(cluster.intra_bandwidth), std::to_string(cluster.nics_per_node),
                   cluster.nics_per_node > 0 ? human(cluster.nic_bandwidth) : ""});
    out.entries.push_back({{"name", name},
                           {"device", cluster.device.id},
                           {"devices_per_node", cluster.devices_per_node}});
  }
  out.table.add({"localhost", "host-cpu"});
  out.entries.push_back({{"name", "localhost"}, {"device", "host-cpu"}});
  return out;
}

Listing devices(const profiles::DataFiles& files) {
  Listing out{Table({{"device", Table::Align::Left},
                     {"memory"},
                     {"bandwidth"},
                     {"bf16 peak"},
                     {"profile", Table::Align::Left}})};
  for (const std::string& name : files.names("devices")) {
    const profiles::Device device = profiles::load_device(name, files);
    const profiles::DeviceProfile profile = profiles::load_profile(device, files);
    const double teraflops = device.peak_at(profiles::DataType::Bf16).rate / 1e12;
    out.table.add({name, human(device.memory), human(device.memory_bandwidth),
                   std::to_string(static_cast<int>(teraflops + 0.5)) + " TFLOP/s", profile.name});
    out.entries.push_back({{"name", name},
                           {"memory_bytes", device.memory.count},
                           {"memory_bytes_per_second", device.memory_bandwidth.rate},
                           {"profile", profile.name}});
  }
  return out;
}

int run(const Options& options) {
  const profiles::DataFiles files(profiles::profile_directories(options.profiles));
  const std::vector<std::string> known = {"models", "clusters", "devices"};
  if (std::find(known.begin(), known.end(), options.what) == known.end()) {
    throw profiles::InputError(
        "list", "models, clusters or devices",
        "'" + options.what + "'" + profiles::did_you_mean(options.what, known));
  }
  const Listing listing = options.what == "models"     ? models(files)
                          : options.what == "clusters" ? clusters(files)
                                                       : devices(files);
  const std::string text =
      options.as_json ? json{{options.what, listing.entries}}.dump(1) + "\n" : listing.table.text();
  std::fputs(text.c_str(), stdout);
  return kDone;
}

}  // namespace

void add_list(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("list", "The presets: models, clusters, devices");
  auto options = std::make_shared<Options>();
  command->add_option("what", options->what, "models, clusters or devices")->required();
  command->add_option("--profiles", options->profiles, "directory with presets of your own")
      ->type_name("DIR");
  command->add_flag("--json", options->as_json, "one JSON document");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace meshplan::cli
