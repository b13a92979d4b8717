#include "planner/evaluate/evaluate_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>
#include <utility>

#include "planner/cost/collective/call_timing.h"
#include "planner/cost/collective/collective_table.h"
#include "planner/cost/compute/attention.h"
#include "planner/cost/compute/gemm.h"
#include "planner/fit/split.h"
#include "planner/fit/tables.h"
#include "profiles/borrowed_profile.h"
#include "profiles/cluster_load.h"
#include "profiles/csv.h"
#include "profiles/device_json.h"
#include "profiles/device_profile.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::DataFiles;
using profiles::InputError;
using profiles::Seconds;

/// What a group's name says of a number format: nothing of bf16, the usual one.
std::string format_of(profiles::DataType type) {
  return type == profiles::DataType::Bf16 ? "" : " " + std::string(profiles::name(type));
}

/// The same of how calls were timed: nothing of CUDA graphs.
std::string timing_of(CallTiming timing) {
  return timing == CallTiming::Graph ? "" : " " + std::string(name(timing));
}

class Evaluation {
 public:
  Evaluation(const TablesQuestion& question, const profiles::ClusterTable& clusters,
             const DataFiles& files)
      : question_(question), clusters_(clusters), files_(files) {}

  void add(const std::string& path) {
    const profiles::CsvTable table = profiles::CsvTable::read_file(path, {"seconds"});
    if (table.has("op")) {
      add_collectives(path);
    } else {
      add_kernels(path);
    }
  }

  TablesReport report() {
    TablesReport out;
    std::vector<double> all;
    for (const auto& [name, errors] : errors_) {
      out.groups.push_back({name, summarise(errors, static_cast<int>(errors.size()))});
      all.insert(all.end(), errors.begin(), errors.end());
    }
    for (const auto& [name, kernel] : kernels_) {
      if (kernel.devices.size() < 2) continue;
      out.groups.push_back({fmt::format("{} devices {}", kernel.devices.size(), name),
                            summarise(kernel.errors, static_cast<int>(kernel.errors.size()))});
    }
    out.time = summarise(all, rows_);
    const auto further = [](const EvaluatedRow& a, const EvaluatedRow& b) {
      return std::abs(std::log1p(a.error())) > std::abs(std::log1p(b.error()));
    };
    constexpr std::size_t kShown = 10;
    const std::size_t shown = std::min(kShown, evaluated_.size());
    std::partial_sort(evaluated_.begin(), evaluated_.begin() + static_cast<std::ptrdiff_t>(shown),
                      evaluated_.end(), further);
    evaluated_.resize(shown);
    out.worst = std::move(evaluated_);
    out.unpredictable = std::move(unpredictable_);
    return out;
  }

 private:
  /// Rows of one kernel on all devices.
  struct Kernel {
    std::set<std::string> devices;
    std::vector<double> errors;
  };

  void compare_kernel(const profiles::DeviceProfile& profile, const std::string& kernel,
                      std::string where, Seconds predicted, Seconds measured) {
    compare(profile.name + " " + kernel, std::move(where), predicted, measured);
    kernels_[kernel].devices.insert(profile.device.id);
    kernels_[kernel].errors.push_back(evaluated_.back().error());
  }

  void compare(const std::string& group, std::string where, Seconds predicted, Seconds measured) {
    evaluated_.push_back({std::move(where), measured, predicted});
    errors_[group].push_back(evaluated_.back().error());
  }

  /// None where the cluster is unknown or cannot hold the ranks: counted with its reason.
  const profiles::Cluster* cluster(const std::string& name) {
    const auto [at, fresh] = loaded_.try_emplace(name);
    if (fresh) {
      try {
        at->second = profiles::load_cluster(name, files_, clusters_);
      } catch (const InputError& error) {
        refusals_[name] = error.what();
      }
    }
    return at->second ? &*at->second : nullptr;
  }

  void add_collectives(const std::string& path) {
    for (const MeasuredCollective& row : read_collective_table(path)) {
      if (!holds(question_.half, is_fitted(row))) continue;
      ++rows_;
      const profiles::Cluster* on = cluster(row.cluster);
      if (on == nullptr) {
        ++unpredictable_[refusals_[row.cluster]];
        continue;
      }
      try {
        compare(fmt::format("{} {}{}", row.cluster, name(row.operation), timing_of(row.timing)),
                row.where, reported_time(row, *on), row.time);
      } catch (const InputError& error) {
        ++unpredictable_[error.what()];
      }
    }
  }

  void add_kernels(const std::string& path) {
    const std::string stem = std::filesystem::path(path).stem().string();
    const std::size_t underscore = stem.find('_');
    if (underscore == std::string::npos) {
      throw InputError(path, "a name like gemm_<device>.csv", "'" + stem + "'");
    }
    const profiles::Device device = profiles::named_at(
        path, "device", [&] { return profiles::load_device(stem.substr(underscore + 1), files_); });
    const profiles::DeviceProfile profile = profile_of(device, path);
    const Tables tables = read_tables({path});
    for (const GemmMeasurement& row : tables.gemm) {
      const GemmShape& s = row.shape;
      if (!holds(question_.half, is_fitted({s.n, s.k}))) continue;
      ++rows_;
      compare_kernel(profile, "gemm" + format_of(row.type),
                     fmt::format("{} m {} n {} k {}", device.id, s.m, s.n, s.k),
                     gemm_time(s, row.type, profile, Clocks::Locked).time, Seconds{row.seconds});
    }
    for (const AttentionMeasurement& row : tables.attention) {
      const AttentionShape& s = row.shape;
      if (!holds(question_.half, is_fitted({s.heads, s.kv_heads, s.head_dim}))) continue;
      ++rows_;
      const char* phase = row.decode() ? "decode" : "prefill";
      const Estimate price = attention_time(s, AttentionPass::Forward, AttentionKernel::Flash,
                                            row.type, profile, Clocks::Locked);
      compare_kernel(
          profile, phase + format_of(row.type),
          fmt::format("{} {} batch {} query {} kv {} heads {}/{} dim {}", device.id, phase, s.batch,
                      s.query_len, s.kv_len, s.heads, s.kv_heads, s.head_dim),
          price.time, Seconds{row.seconds});
    }
  }

  [[nodiscard]] profiles::DeviceProfile profile_of(const profiles::Device& device,
                                                   const std::string& path) const {
    if (!question_.unseen) return profiles::load_profile(device, files_);
    auto borrowed = profiles::borrowed_profile(device, files_);
    if (!borrowed) throw InputError(path, "a device with measured kin", "'" + device.id + "'");
    return *std::move(borrowed);
  }

  const TablesQuestion& question_;
  const profiles::ClusterTable& clusters_;
  const DataFiles& files_;
  int rows_ = 0;
  std::vector<EvaluatedRow> evaluated_;
  std::map<std::string, std::vector<double>> errors_;
  std::map<std::string, Kernel> kernels_;
  std::map<std::string, int> unpredictable_;
  std::map<std::string, std::optional<profiles::Cluster>> loaded_;
  std::map<std::string, std::string> refusals_;
};

}  // namespace

TablesReport evaluate_tables(const std::vector<std::string>& paths, const TablesQuestion& question,
                             const profiles::ClusterTable& clusters, const DataFiles& files) {
  Evaluation evaluation(question, clusters, files);
  for (const std::string& path : paths) evaluation.add(path);
  return evaluation.report();
}

}  // namespace meshplan::planner
