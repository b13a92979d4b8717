#include <fmt/format.h>

#include <CLI/App.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
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
                     {"experts"},
                     {"a token"},
                     {"their ffn"}})};
  for (const std::string& name : files.names("models")) {
    const planner::Transformer model = planner::load_model(name, files);
    const std::int64_t parameters = planner::parameter_count(model);
    out.table.add({name, profiles::human_count(static_cast<double>(parameters)),
                   std::to_string(model.layers), std::to_string(model.hidden),
                   std::to_string(model.heads), std::to_string(model.kv_heads),
                   model.ffn > 0 ? std::to_string(model.ffn) : "", std::to_string(model.vocab),
                   model.experts ? std::to_string(model.experts->count) : "",
                   model.experts ? std::to_string(model.experts->per_token) : "",
                   model.experts ? std::to_string(model.experts->width) : ""});
    out.entries.push_back({{"name", name}, {"parameters", parameters}, {"layers", model.layers}});
  }
  return out;
}

Listing clusters(const profiles::DataFiles& files) {
  Listing out{Table({{"cluster", Table::Align::Left},
                     {"device", Table::Align::Left},
                     {"devices/node"},
                     {"NVLink domain"},
                     {"intra-node"},
                     {"NICs"},
                     {"per NIC"}})};
  for (const std::string& name : files.names("clusters")) {
    const profiles::Cluster cluster = profiles::load_cluster(name, files);
    out.table.add({name, cluster.device.id, std::to_string(cluster.devices_per_node),
                   std::to_string(cluster.nvlink_domain_devices), human(cluster.intra_bandwidth),
                   std::to_string(cluster.nics_per_node),
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
                   fmt::format("{:.{}f} TFLOP/s", teraflops, teraflops < 1 ? 2 : 0), profile.name});
    out.entries.push_back({{"name", name},
                           {"memory_bytes", device.memory.count},
                           {"memory_bytes_per_second", device.memory_bandwidth.rate},
                           {"profile", profile.name}});
  }
  return out;
}

/// Habits of software, `folder` = "frameworks" or "engines"; what its file says of it up to the
/// first stop.
Listing habits(const profiles::DataFiles& files, const std::string& folder) {
  Listing out{Table({{folder.substr(0, folder.size() - 1), Table::Align::Left},
                     {"what it is", Table::Align::Left}})};
  for (const std::string& name : files.names(folder)) {
    const std::string source = files.at(folder, name, folder).at("source").string();
    const std::size_t stop = std::min(source.find_first_of(":;"), source.find(". "));
    out.table.add({name, source.substr(0, stop)});
    out.entries.push_back({{"name", name}, {"source", source}});
  }
  return out;
}

using Lister = std::function<Listing(const profiles::DataFiles&)>;
const std::pair<std::string, Lister> kListings[] = {
    {"models", models},
    {"clusters", clusters},
    {"devices", devices},
    {"frameworks", [](const auto& files) { return habits(files, "frameworks"); }},
    {"engines", [](const auto& files) { return habits(files, "engines"); }},
};

int run(const Options& options) {
  const profiles::DataFiles files(profiles::profile_directories(options.profiles));
  std::vector<std::string> known;
  const Lister* lister = nullptr;
  for (const auto& [what, each] : kListings) {
    known.push_back(what);
    if (what == options.what) lister = &each;
  }
  if (lister == nullptr) {
    throw profiles::InputError(
        "list", "models, clusters, devices, frameworks or engines",
        "'" + options.what + "'" + profiles::did_you_mean(options.what, known));
  }
  const Listing listing = (*lister)(files);
  const std::string text =
      options.as_json ? json{{options.what, listing.entries}}.dump(1) + "\n" : listing.table.text();
  std::fputs(text.c_str(), stdout);
  return kDone;
}

}  // namespace

void add_list(CLI::App& app, Action& action) {
  auto* command =
      app.add_subcommand("list", "The presets: models, clusters, devices, frameworks, engines");
  auto options = std::make_shared<Options>();
  command->add_option("what", options->what, "models, clusters, devices, frameworks or engines")
      ->required()
      ->type_name("WHAT");
  command->add_option("--profiles", options->profiles, "directory with presets of your own")
      ->type_name("DIR");
  command->add_flag("--json", options->as_json, "one JSON document");
  command->callback([options, &action] { action = [options] { return run(*options); }; });
}

}  // namespace meshplan::cli
