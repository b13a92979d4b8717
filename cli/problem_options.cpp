#include "cli/problem_options.h"

#include <CLI/App.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/flags.h"
#include "cli/local_cluster.h"
#include "planner/model/config.h"
#include "planner/software.h"
#include "profiles/cluster_load.h"
#include "profiles/data_type.h"
#include "profiles/input_error.h"

namespace meshplan::cli {

using profiles::InputError;

void add_problem_options(CLI::App& command, ProblemOptions& options) {
  const auto add = [&](const char* flag, std::string& target, const char* help, const char* type) {
    command.add_option(flag, target, help)->type_name(type);
  };
  add("--model", options.model, "preset, or a Hugging Face config.json", "M");
  add("--cluster", options.cluster,
      "PRESET:NODES, PRESET:1/2 (two devices), localhost, a cluster file, or what NCCL "
      "(NCCL_TOPO_DUMP_FILE, .xml) or nvidia-smi topo -m (.txt) saw of a server",
      "C");
  add("--seq-len", options.seq_len, "tokens in a sequence", "N");
  add("--global-batch", options.global_batch, "sequences in a step", "N");
  add("--dtype", options.dtype, "bf16, fp16, fp8, fp4, tf32 or fp32 (bf16)", "T");
  add("--optimizer", options.optimizer, "adam, sgd or lion (adam)", "O");
  add("--framework", options.framework,
      "whose habits to assume: megatron, deepspeed, ... as 'meshplan list frameworks' (generic)",
      "F");
  add("--attention", options.attention, "flash or unfused (as the framework does)", "A");
  add("--optimizer-sync", options.optimizer_sync,
      "global: every rank waits for the gradient norm; or post_validated (global)", "S");
  add("--memory-margin", options.memory_margin, "fraction of device memory to leave free (0)", "X");
  add("--profiles", options.profiles, "directory with presets and profiles of your own", "DIR");
  command.add_option("--set", options.settings, "one fact of cluster or device, changed")
      ->type_name("KEY=VALUE");
}

profiles::DataFiles data_files(const ProblemOptions& options) {
  return profiles::DataFiles(profiles::profile_directories(options.profiles));
}

profiles::Cluster with_settings(profiles::Cluster cluster, const std::vector<std::string>& settings,
                                const profiles::DataFiles& files) {
  std::set<std::string> given;
  for (const std::string& setting : settings) {
    const std::size_t equals = setting.find('=');
    if (equals == std::string::npos) {
      throw InputError("--set", "KEY=VALUE", "'" + setting + "'");
    }
    const std::string key = setting.substr(0, equals);
    if (!given.insert(key).second)
      throw InputError("--set", "each key once", "'" + key + "' twice");
    cluster = profiles::apply_setting(std::move(cluster), key, setting.substr(equals + 1), files);
  }
  return cluster;
}

namespace {

planner::Problem read_problem(const ProblemOptions& options, const profiles::DataFiles& files) {
  if (options.model.empty() && options.model_config.empty()) {
    throw InputError("--model", "a preset or a config.json", "nothing");
  }
  if (options.cluster.empty())
    throw InputError("--cluster", "a cluster such as dgx-h100:16", "nothing");
  planner::Problem problem;
  const planner::NamedConfig found =
      options.model.empty()
          ? planner::NamedConfig{"from flags",
                                 profiles::JsonNode::parse(options.model_config, "the flags")}
          : profiles::named_at("--model", "model",
                               [&] { return planner::find_config(options.model, files); });
  problem.model = planner::read_config(found.config, found.name);
  problem.model_config = found.config.raw().dump();
  problem.cluster = cluster_from(options.cluster, files);
  problem.cluster = with_settings(problem.cluster, options.settings, files);
  problem.workload.seq_len = count_flag(options.seq_len, "--seq-len");
  problem.workload.global_batch = count_flag(options.global_batch, "--global-batch");
  const auto type = profiles::data_type_from(options.dtype);
  if (!type) {
    throw InputError("--dtype", "one of fp32, tf32, fp16, bf16, fp8, fp4",
                     "'" + options.dtype + "'");
  }
  problem.workload.data_type = *type;
  const auto optimizer = planner::optimizer_from(options.optimizer);
  if (!optimizer)
    throw InputError("--optimizer", "adam, sgd or lion", "'" + options.optimizer + "'");
  problem.workload.optimizer = *optimizer;
  problem.framework = planner::software_of(options.framework, problem, files);
  if (!problem.framework.known) (void)files.at("frameworks", options.framework, "framework");
  // No fused attention kernel runs on Volta.
  if (problem.cluster.device.compute_capability == 70) problem.flash_attention = false;
  if (!options.attention.empty()) {
    if (options.attention != "flash" && options.attention != "unfused") {
      throw InputError("--attention", "flash or unfused", "'" + options.attention + "'");
    }
    problem.flash_attention = options.attention == "flash";
  }
  if (!options.optimizer_sync.empty()) {
    if (options.optimizer_sync != "global" && options.optimizer_sync != "post_validated") {
      throw InputError("--optimizer-sync", "global or post_validated",
                       "'" + options.optimizer_sync + "'");
    }
    problem.global_sync = options.optimizer_sync == "global";
  }
  if (!options.memory_margin.empty()) {
    problem.memory_margin = fraction_flag(options.memory_margin, "--memory-margin");
    if (problem.memory_margin >= 1) {
      throw InputError("--memory-margin", "a fraction below 1", "'" + options.memory_margin + "'");
    }
  }
  problem.profile = profiles::load_profile(problem.cluster, files);
  return problem;
}

}  // namespace

planner::Problem problem_from(const ProblemOptions& options, const profiles::DataFiles& files) {
  return profiles::named_at("--framework", "framework",
                            [&] { return read_problem(options, files); });
}

}  // namespace meshplan::cli
