// SGLang 0.5.5: `python3 -m sglang.launch_server`; uneven stages through SGLANG_PP_LAYER_PARTITION.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "planner/export/canonical_layout.h"
#include "planner/export/engine_settings.h"
#include "planner/export/framework_format.h"
#include "planner/export/python_source.h"
#include "planner/export/shell_script.h"

namespace meshplan::planner {
namespace {

constexpr std::string_view kProgram = "sglang.launch_server";
constexpr const char* kPartition = "SGLANG_PP_LAYER_PARTITION";

void add_data_type(profiles::DataType type, ShellCommand& command) {
  using profiles::DataType;
  const bool full = type == DataType::Fp32 || type == DataType::Tf32;
  command.flag("--dtype", std::string(full                     ? "float32"
                                      : type == DataType::Fp16 ? "float16"
                                                               : "bfloat16"));
  if (type == DataType::Fp8) command.flag("--quantization", std::string("fp8"));
  if (type == DataType::Fp4) command.flag("--quantization", std::string("modelopt_fp4"));
}

std::string write(const LaunchPlan& plan) {
  const Layout& l = plan.layout;
  const EngineSettings settings = engine_settings(plan);
  const std::vector<int> layers = layers_of_chunks(plan);
  std::string out = "#!/usr/bin/env bash\n" + comment_lines(plan) + "set -euo pipefail\n";
  if (!split_shape(layers).even) {
    out += fmt::format("export {}={}\n", kPartition, fmt::join(layers, ","));
  }
  ShellCommand command("exec python3 -m " + std::string(kProgram));
  command.raw("--model-path " + settings.model);
  command.flag("--tp-size", l.tp);
  command.flag("--pp-size", l.pp);
  command.flag("--dp-size", l.dp);
  command.flag("--ep-size", l.ep);
  const LaunchNodes where = launch_nodes(plan);
  if (where.nodes > 1) {
    command.flag("--nnodes", where.nodes);
    command.raw("--node-rank \"${NODE_RANK:-0}\"");
    command.raw("--dist-init-addr \"${MASTER_ADDR:-localhost}:${MASTER_PORT:-5000}\"");
  }
  add_data_type(plan.problem.workload.data_type, command);
  if (settings.longest > 0) command.flag("--context-length", settings.longest);
  if (settings.sequences > 0) command.flag("--max-running-requests", settings.sequences * l.dp);
  if (settings.batched_tokens > 0) {
    command.flag("--chunked-prefill-size", settings.batched_tokens);
  }
  command.flag("--mem-fraction-static", fraction_text(settings.memory_fraction));
  command.raw("\"$@\"");
  return out + command.text();
}

Layout read(std::string_view text, const Problem&, const std::string& where) {
  const ShellScript script = read_shell_script(text, kProgram, where);
  const FlagList flags = read_flags(script.arguments);
  Layout out;
  out.order = kPipelineInside;
  out.tp = flags.number("--tp-size", where).value_or(1);
  out.pp = flags.number("--pp-size", where).value_or(1);
  out.dp = flags.number("--dp-size", where).value_or(1);
  out.ep = flags.number("--ep-size", where).value_or(1);
  if (out.ep > 1) out.etp = out.tp / out.ep;
  const auto layers = script.variables.find(kPartition);
  if (layers != script.variables.end()) out.stages = python_numbers(layers->second);
  return out;
}

std::vector<std::string> keys(std::string_view text, const std::string& where) {
  const ShellScript script = read_shell_script(text, kProgram, where);
  std::vector<std::string> out;
  for (const auto& [name, value] : script.variables) out.push_back(name);
  for (const FlagList::Flag& flag : read_flags(script.arguments).flags) out.push_back(flag.name);
  return out;
}

}  // namespace

const FrameworkFormat kSglangFormat = {"sglang", write, read, keys};

}  // namespace meshplan::planner
