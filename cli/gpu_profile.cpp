#include "cli/gpu_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "cli/collective_lines.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "planner/fit/fit_profile.h"
#include "profiles/atomic_file.h"
#include "profiles/device_json.h"
#include "profiles/input_error.h"
#include "profiles/number_format.h"
#include "profiles/product_names.h"
#include "runtime/device/local_topology.h"
#include "runtime/measure/gpu_tables.h"

namespace meshplan::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using profiles::InputError;

Json state_json(const runtime::DeviceState& state) {
  Json out;
  const auto put = [&](const char* key, const std::optional<double>& value) {
    out[key] = value ? Json(*value) : Json(nullptr);
  };
  put("sm_clock_hertz", state.sm_clock_hz);
  put("most_sm_clock_hertz", state.most_sm_clock_hz);
  put("memory_clock_hertz", state.memory_clock_hz);
  put("power_watts", state.watts);
  put("temperature_celsius", state.celsius);
  return out;
}

Json facts_json(const runtime::GpuTables& t, const std::string& today) {
  Json out;
  out["device"] = t.facts.name;
  out["engine"] = t.engine;
  out["date"] = today;
  out["compute_capability"] = t.facts.compute_capability;
  out["multiprocessors"] = t.facts.multiprocessors;
  out["memory_bytes"] = t.facts.memory.count;
  out["l2_cache_bytes"] = t.facts.l2_cache.count;
  out["before"] = state_json(t.before);
  out["after"] = state_json(t.after);
  out["copy_bytes_per_second"] = t.copy.rate;
  out["launch_seconds"] = t.launch.count();
  out["fixed_memory"] = {{"context_bytes", t.fixed.context.count},
                         {"kernels_bytes", t.fixed.kernels.count},
                         {"communicators_bytes", t.fixed.communicators.count}};
  return out;
}

/// What no table of products and attention tells.
void set_memory_bound(profiles::DeviceProfile& profile, const runtime::GpuTables& tables) {
  constexpr std::int64_t kLarge = std::int64_t{64} << 20;
  std::vector<double> shares;
  for (const runtime::GpuElementwiseTime& row : tables.elementwise) {
    if (row.moved.count < kLarge) continue;
    shares.push_back((row.moved / row.time).rate / profile.device.memory_bandwidth.rate);
  }
  std::sort(shares.begin(), shares.end());
  if (!shares.empty()) profile.memory_bound.efficiency = shares[shares.size() / 2];
  profile.memory_bound.launch = tables.launch;
  // Backward has five products of scores for forward's two.
  std::vector<double> ratios;
  for (const runtime::GpuAttentionTime& row : tables.attention) {
    constexpr std::int64_t kLong = 1024;
    if (row.backward.count() > 0 && row.shape.query_len >= kLong) {
      ratios.push_back(2.5 * (row.forward / row.backward));
    }
  }
  std::sort(ratios.begin(), ratios.end());
  if (!ratios.empty()) {
    profile.attention.backward_efficiency = std::clamp(ratios[ratios.size() / 2], 0.05, 2.0);
  }
}

/// What joins the devices of `engine`; none where no preset describes them.
std::optional<profiles::Cluster> joined(const runtime::Engine& engine) {
  try {
    return cluster_of(topology_of(engine), profiles::DataFiles(), "localhost");
  } catch (const InputError&) {
    return std::nullopt;
  }
}

}  // namespace

int profile_gpu(const GpuProfileOptions& options, const std::string& today,
                const std::string& version) {
  runtime::Engine& engine = runtime::load_engine();
  const std::string name = engine.devices().front().name;
  const std::optional<std::string> id = profiles::device_of_product(name);
  const fs::path folder(options.out);
  const std::string stem = id.value_or("gpu");
  const fs::path profile_file = folder / "profiles" / (stem + ".json");
  if (!options.force && fs::exists(profile_file)) {
    throw InputError(profile_file.string(), "a new file (or --force)", "one that exists");
  }
  profiles::require_writable_folder(options.out);

  const auto begin = std::chrono::steady_clock::now();
  Progress progress;
  const runtime::GpuTables tables =
      runtime::measure_gpu(engine, !options.brief,
                           [&](const std::string& what) { progress.show("measuring: " + what); });
  const auto write = [&](const std::string& file, const std::string& text) {
    const fs::path path = folder / "tables" / file;
    profiles::write_with_folders(path.string(), text);
    return path.string();
  };
  const std::string gemm = write("gemm_" + stem + ".csv", gemm_csv(tables));
  const std::string attention = write("attention_" + stem + ".csv", attention_csv(tables));
  write("attention_backward_" + stem + ".csv", attention_backward_csv(tables));
  write("elementwise_" + stem + ".csv", elementwise_csv(tables));
  write("collectives_" + stem + ".csv", collectives_csv(tables));
  write("facts_" + stem + ".json", facts_json(tables, today).dump(1) + "\n");

  std::string answer = fmt::format("{}, {}\n", tables.facts.name, tables.engine);
  answer += fmt::format("copies       {}\n", profiles::human(tables.copy));
  answer += fmt::format("launch       {}\n", profiles::human(tables.launch));
  if (id) {
    progress.show("fitting");
    const profiles::Device device = profiles::load_device(*id, profiles::DataFiles());
    profiles::DeviceProfile profile =
        planner::fit_profile(device, planner::read_tables({gemm, attention}), today);
    set_memory_bound(profile, tables);
    profile.provenance +=
        "; measured on " + tables.facts.name + ", " + tables.engine + "; meshplan " + version;
    profiles::write_with_folders(profile_file.string(), planner::profile_text(profile));
    answer += fmt::format("products     off by {:.1f}% (median) on the half held out\n",
                          100 * profile.gemm.record.held_out.median);
    answer += fmt::format("attention    off by {:.1f}% (median) on the half held out\n",
                          100 * profile.attention.record.held_out.median);
  } else {
    answer += "no preset is known for this device: its tables are written, no profile is fitted\n";
  }
  answer += collective_table(
      collective_lines(tables.collectives, tables.within_device ? std::nullopt : joined(engine)));
  progress.clear();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  answer +=
      fmt::format("took {:.0f} s; use it with --profiles {}\n", took.count(), folder.string());
  std::fputs(answer.c_str(), stdout);
  return kDone;
}

}  // namespace meshplan::cli
