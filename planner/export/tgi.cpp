// Text Generation Inference 3.3.6: text-generation-launcher, one a replica.
#include <fmt/format.h>

#include "planner/export/engine_settings.h"
#include "planner/export/framework_format.h"
#include "planner/export/shell_script.h"

namespace meshplan::planner {
namespace {

constexpr std::string_view kProgram = "text-generation-launcher";

std::string write(const LaunchPlan& plan) {
  const Layout& l = plan.layout;
  const EngineSettings settings = engine_settings(plan);
  ShellCommand command{std::string(kProgram)};
  command.raw("--model-id " + settings.model);
  // --sharded true with one shard is refused.
  command.flag("--sharded", std::string(l.tp > 1 ? "true" : "false"));
  if (l.tp > 1) command.flag("--num-shard", l.tp);
  using profiles::DataType;
  const DataType type = plan.problem.workload.data_type;
  if (type == DataType::Fp8) {
    command.flag("--quantize", std::string("fp8"));
  } else {
    command.flag("--dtype", std::string(type == DataType::Fp16 ? "float16" : "bfloat16"));
  }
  if (settings.prompt > 0) command.flag("--max-input-tokens", settings.prompt);
  if (settings.longest > 0) command.flag("--max-total-tokens", settings.longest);
  if (settings.sequences > 0) command.flag("--max-concurrent-requests", settings.sequences);
  command.flag("--cuda-memory-fraction", fraction_text(settings.memory_fraction));
  command.raw("--port \"$PORT\"");
  if (l.dp > 1) {
    // Launchers of one node meet their shards under names of their own.
    command.raw("--master-port \"$((PORT + 21500))\"");
    command.raw("--shard-uds-path \"/tmp/text-generation-server-$PORT\"");
  }
  return "#!/usr/bin/env bash\n" + comment_lines(plan) + "set -euo pipefail\n" +
         once_per_replica(l, command.text());
}

Layout read(std::string_view text, const Problem&, const std::string& where) {
  const FlagList flags = read_flags(read_shell_script(text, kProgram, where).arguments);
  Layout out;
  out.tp = flags.number("--num-shard", where).value_or(1);
  out.dp = replicas_of_script(text);
  return out;
}

std::vector<std::string> keys(std::string_view text, const std::string& where) {
  std::vector<std::string> out;
  for (const FlagList::Flag& flag :
       read_flags(read_shell_script(text, kProgram, where).arguments).flags) {
    if (flag.name.starts_with("--")) out.push_back(flag.name);
  }
  return out;
}

}  // namespace

const FrameworkFormat kTgiFormat = {"tgi", write, read, keys};

}  // namespace meshplan::planner
