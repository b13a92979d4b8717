// TensorRT-LLM 1.1.0: `trtllm-serve` and the options file that carries what it has no flag for.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "planner/export/canonical_layout.h"
#include "planner/export/engine_settings.h"
#include "planner/export/framework_format.h"
#include "planner/export/shell_script.h"
#include "profiles/json_node.h"

namespace meshplan::planner {
namespace {

constexpr std::string_view kProgram = "trtllm-serve";

std::string options_file(const LaunchPlan& plan, const EngineSettings& settings) {
  nlohmann::ordered_json out;
  const std::vector<int> layers = layers_of_chunks(plan);
  using profiles::DataType;
  const DataType type = plan.problem.workload.data_type;
  if (type == DataType::Bf16) out["dtype"] = "bfloat16";
  if (type == DataType::Fp16) out["dtype"] = "float16";
  if (!split_shape(layers).even) out["pp_partition"] = layers;
  out["kv_cache_config"] = {{"free_gpu_memory_fraction", settings.memory_fraction}};
  if (type == DataType::Fp8) {
    out["kv_cache_config"]["dtype"] = "fp8";
  }
  return out.dump(2);
}

std::string write(const LaunchPlan& plan) {
  const Layout& l = plan.layout;
  const EngineSettings settings = engine_settings(plan);
  const int world = l.devices() / l.dp;
  const int per_node = std::min(world, plan.problem.cluster.devices_used_per_node);
  std::string out = "#!/usr/bin/env bash\n" + comment_lines(plan);
  if (world > per_node) {
    out += fmt::format(
        "# {} ranks on {} nodes: start with srun or mpirun, {} a node, through "
        "trtllm-llmapi-launch.\n",
        world, world / per_node, per_node);
  }
  using profiles::DataType;
  const DataType type = plan.problem.workload.data_type;
  if (type == DataType::Fp8 || type == DataType::Fp4) {
    out += fmt::format("# MODEL is a checkpoint that is quantised to {}.\n", name(type));
  }
  out += "set -euo pipefail\noptions=$(mktemp --suffix=.yaml)\n";
  out += "cat > \"$options\" <<'END'\n" + options_file(plan, settings) + "\nEND\n";
  ShellCommand command(std::string(kProgram) + " " + settings.model);
  command.flag("--tp_size", l.tp);
  command.flag("--pp_size", l.pp);
  if (l.ep > 1) command.flag("--ep_size", l.ep);
  command.flag("--gpus_per_node", per_node);
  if (settings.sequences > 0) command.flag("--max_batch_size", settings.sequences);
  if (settings.batched_tokens > 0) command.flag("--max_num_tokens", settings.batched_tokens);
  if (settings.longest > 0) command.flag("--max_seq_len", settings.longest);
  command.raw("--port \"$PORT\"");
  command.raw("--extra_llm_api_options \"$options\"");
  return out + once_per_replica(l, command.text());
}

Layout read(std::string_view text, const Problem&, const std::string& where) {
  const ShellScript script = read_shell_script(text, kProgram, where);
  const FlagList flags = read_flags(script.arguments);
  Layout out;
  out.tp = flags.number("--tp_size", where).value_or(1);
  out.pp = flags.number("--pp_size", where).value_or(1);
  out.ep = flags.number("--ep_size", where).value_or(1);
  if (out.ep > 1) out.etp = out.tp / out.ep;
  out.dp = replicas_of_script(text);
  out.order = kPipelineInside;
  const profiles::JsonNode options =
      profiles::JsonNode::parse(script.here_document, where + ", options");
  if (const auto layers = options.find_value("pp_partition")) {
    for (const auto& count : layers->elements()) out.stages.push_back(count.count());
  }
  return out;
}

std::vector<std::string> keys(std::string_view text, const std::string& where) {
  const ShellScript script = read_shell_script(text, kProgram, where);
  std::vector<std::string> out;
  for (const FlagList::Flag& flag : read_flags(script.arguments).flags) {
    if (flag.name.starts_with("--")) out.push_back(flag.name);
  }
  const auto options = profiles::JsonNode::parse(script.here_document, where);
  for (const auto& [key, value] : options.members()) {
    out.push_back(key);
    if (!value.is_object()) continue;
    for (const auto& [inner, unused] : value.members()) out.push_back(key + "." + inner);
  }
  return out;
}

}  // namespace

const FrameworkFormat kTensorRtLlmFormat = {"tensorrt-llm", write, read, keys};

}  // namespace meshplan::planner
