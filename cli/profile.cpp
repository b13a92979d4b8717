#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/App.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/gpu_profile.h"
#include "cli/profile_refit.h"
#include "cli/terminal.h"
#include "planner/fit/fit_profile.h"
#include "profiles/atomic_file.h"
#include "profiles/cluster_load.h"
#include "profiles/device_json.h"
#include "profiles/input_error.h"
#include "profiles/number_format.h"
#include "runtime/device/engine.h"
#include "runtime/measure/host_profile.h"

namespace meshplan::cli {
namespace {

namespace fs = std::filesystem;
using profiles::human;
using profiles::InputError;

std::string today() {
  return fmt::format("{:%Y-%m-%d}",
                     std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now()));
}

/// Nothing measured is lost by accident.
void refuse_existing(const fs::path& file, bool force) {
  if (!force && fs::exists(file)) {
    throw InputError(file.string(), "a new file (or --force)", "one that exists");
  }
}

struct MeasureOptions {
  std::string backend = "cpu", out;
  bool brief = false, force = false;
};

std::string measured_text(const profiles::DeviceProfile& profile, const fs::path& folder,
                          double seconds) {
  const profiles::Device& d = profile.device;
  const auto peak = d.peak_at(profiles::DataType::Fp32).rate;
  std::string out = fmt::format("{}\n", profile.provenance);
  out += fmt::format(
      "products     {:.1f} GFLOP/s a core; off by {:.1f}% (median) between the "
      "measured shapes\n",
      peak / 1e9, 100 * profile.gemm.record.held_out.median);
  out += fmt::format("memory       {} a core\n", human(d.memory_bandwidth));
  out += fmt::format("between ranks  {}\n", human(d.pcie_bandwidth));
  out += fmt::format("took {:.0f} s; use it with --profiles {}\n", seconds, folder.string());
  return out;
}

int measure(const MeasureOptions& options, const std::string& version) {
  if (options.backend == "cuda") {
    try {
      return profile_gpu({options.out, options.brief, options.force}, today(), version);
    } catch (const runtime::EngineFailure& failure) {
      std::fprintf(stderr, "meshplan: %s\n", failure.what());
      return kDeviceFailure;
    } catch (const runtime::RankFailure& failure) {
      std::fprintf(stderr, "meshplan: %s\n", failure.what());
      std::fflush(nullptr);
      // A rank that stalls still runs on its thread and cannot be stopped.
      std::_Exit(kDeviceFailure);
    }
  }
  if (options.backend != "cpu") {
    throw InputError("--backend", "cpu or cuda", "'" + options.backend + "'");
  }
  const fs::path folder(options.out);
  const fs::path profile_file = folder / "profiles" / "host-cpu.json";
  const fs::path device_file = folder / "devices" / "host-cpu.json";
  refuse_existing(profile_file, options.force);
  refuse_existing(device_file, options.force);
  profiles::require_writable_folder(options.out);

  const auto begin = std::chrono::steady_clock::now();
  Progress progress;
  const auto effort = options.brief ? runtime::Effort::Brief : runtime::Effort::Full;
  const runtime::Host host = runtime::this_host();
  const runtime::HostTables tables =
      runtime::measure_host(effort, runtime::measuring_cores(host),
                            [&](const std::string& what) { progress.show("measuring: " + what); });
  profiles::DeviceProfile profile = runtime::host_profile(host, tables, today());
  if (!tables.all_reduce.empty()) {
    profiles::Cluster cluster = profiles::load_cluster("host-cpu", profiles::DataFiles());
    cluster.device = profile.device;
    profile.device.pcie_bandwidth = runtime::rank_bandwidth(cluster, tables.all_reduce);
  }
  profile.provenance += "; meshplan " + version;
  profiles::write_with_folders(device_file.string(), device_json(profile.device).dump(1) + "\n");
  profiles::write_with_folders(profile_file.string(), planner::profile_text(profile));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  progress.clear();
  std::fputs(measured_text(profile, folder, took.count()).c_str(), stdout);
  return kDone;
}

struct FitOptions {
  std::vector<std::string> tables;
  std::string device, out, profiles;
  bool force = false;
};

std::string errors_text(const char* what, const profiles::FitRecord& record) {
  return fmt::format("{:<10} {} rows held out: error {:.1f}% (median), {:.1f}% (95%)\n", what,
                     record.held_out.rows, 100 * record.held_out.median, 100 * record.held_out.p95);
}

int fit(const FitOptions& options) {
  refuse_existing(options.out, options.force);
  const profiles::DataFiles files(profiles::profile_directories(options.profiles));
  const profiles::Device device = profiles::named_at(
      "--device", "device", [&] { return profiles::load_device(options.device, files); });
  const planner::Tables tables = planner::read_tables(options.tables);
  const profiles::DeviceProfile profile = planner::fit_profile(device, tables, today());
  profiles::write_atomically(options.out, planner::profile_text(profile));
  const std::string answer = profile.provenance + "\n" +
                             errors_text("products", profile.gemm.record) +
                             errors_text("attention", profile.attention.record) +
                             errors_text("decode", profile.decode.record);
  std::fputs(answer.c_str(), stdout);
  return kDone;
}

void add_fit(CLI::App& profile, Action& action) {
  auto* command =
      profile.add_subcommand("fit", "Fits the profile of a device to tables of measurements");
  auto options = std::make_shared<FitOptions>();
  command->add_option("tables", options->tables, "gemm_*.csv and attention_*.csv")
      ->type_name("TABLE.csv")
      ->required();
  command->add_option("--device", options->device, "whose facts to fit on")
      ->type_name("ID")
      ->required();
  command->add_option("--out", options->out, "file of the profile")->type_name("FILE")->required();
  command->add_option("--profiles", options->profiles, "directory with devices of your own")
      ->type_name("DIR");
  command->add_flag("--force", options->force, "overwrite the file");
  command->callback([options, &action] { action = [options] { return fit(*options); }; });
}

}  // namespace

void add_profile(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand(
      "profile", "Measures this machine, so that predictions for localhost are its own");
  auto options = std::make_shared<MeasureOptions>();
  command->add_option("--backend", options->backend, "cpu or cuda (cpu)")->type_name("B");
  command->add_option("--out", options->out, "folder for --profiles to find")->type_name("DIR");
  command->add_flag("--brief", options->brief, "fewer shapes: seconds instead of a minute");
  command->add_flag("--force", options->force, "overwrite a profile in the folder");
  command->require_subcommand(0, 1);
  add_fit(*command, action);
  add_refit(*command, action);
  command->callback([options, command, &action] {
    if (!command->get_subcommands().empty()) return;
    action = [options] {
      if (options->out.empty()) throw InputError("--out", "a folder", "nothing");
      return measure(*options, MESHPLAN_VERSION);
    };
  });
}

}  // namespace meshplan::cli
