// vLLM 0.11.0: `vllm serve`; uneven stages through VLLM_PP_LAYER_PARTITION.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "planner/export/canonical_layout.h"
#include "planner/export/engine_settings.h"
#include "planner/export/framework_format.h"
#include "planner/export/python_source.h"
#include "planner/export/shell_script.h"

namespace meshplan::planner {
namespace {

void add_data_type(profiles::DataType type, ShellCommand& command) {
  using profiles::DataType;
  const bool narrow = type == DataType::Fp8 || type == DataType::Fp4;
  const bool full = type == DataType::Fp32 || type == DataType::Tf32;
  command.flag("--dtype", std::string(full                     ? "float32"
                                      : type == DataType::Fp16 ? "float16"
                                                               : "bfloat16"));
  if (narrow) {
    command.flag("--quantization", std::string(type == DataType::Fp8 ? "fp8" : "modelopt_fp4"));
  }
}

std::string write(const LaunchPlan& plan) {
  const Layout& l = plan.layout;
  const EngineSettings settings = engine_settings(plan);
  const std::vector<int> layers = layers_of_chunks(plan);
  std::string out = "#!/usr/bin/env bash\n" + comment_lines(plan) + "set -euo pipefail\n";
  if (!split_shape(layers).even) {
    out += fmt::format("export VLLM_PP_LAYER_PARTITION={}\n", fmt::join(layers, ","));
  }
  ShellCommand command("exec vllm serve " + settings.model);
  command.flag("--tensor-parallel-size", l.tp);
  command.flag("--pipeline-parallel-size", l.pp);
  command.flag("--data-parallel-size", l.dp);
  if (l.ep > 1) command.flag("--enable-expert-parallel");
  const LaunchNodes where = launch_nodes(plan);
  if (where.nodes > 1 && l.dp == 1) {
    command.flag("--distributed-executor-backend", std::string("ray"));
  }
  if (where.nodes > 1 && l.dp > 1) command.flag("--data-parallel-backend", std::string("ray"));
  add_data_type(plan.problem.workload.data_type, command);
  if (settings.longest > 0) command.flag("--max-model-len", settings.longest);
  if (settings.sequences > 0) command.flag("--max-num-seqs", settings.sequences);
  if (settings.batched_tokens > 0) {
    command.flag("--max-num-batched-tokens", settings.batched_tokens);
  }
  command.flag("--gpu-memory-utilization", fraction_text(settings.memory_fraction));
  command.raw("\"$@\"");
  return out + command.text();
}

Layout read(std::string_view text, const Problem&, const std::string& where) {
  const ShellScript script = read_shell_script(text, "vllm", where);
  const FlagList flags = read_flags(script.arguments);
  Layout out;
  out.tp = flags.number("--tensor-parallel-size", where).value_or(1);
  out.pp = flags.number("--pipeline-parallel-size", where).value_or(1);
  out.dp = flags.number("--data-parallel-size", where).value_or(1);
  if (flags.has("--enable-expert-parallel")) {
    out.ep = out.tp * out.dp;
    out.etp = 1;
  }
  out.order = kPipelineInside;
  const auto layers = script.variables.find("VLLM_PP_LAYER_PARTITION");
  if (layers != script.variables.end()) out.stages = python_numbers(layers->second);
  return out;
}

std::vector<std::string> keys(std::string_view text, const std::string& where) {
  const ShellScript script = read_shell_script(text, "vllm", where);
  std::vector<std::string> out;
  for (const auto& [name, value] : script.variables) out.push_back(name);
  for (const FlagList::Flag& flag : read_flags(script.arguments).flags) out.push_back(flag.name);
  return out;
}

}  // namespace

const FrameworkFormat kVllmFormat = {"vllm", write, read, keys};

}  // namespace meshplan::planner
