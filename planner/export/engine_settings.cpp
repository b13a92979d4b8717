#include "planner/export/engine_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace meshplan::planner {
namespace {

constexpr std::string_view kLoop = "for replica in $(seq 0 ";

}  // namespace

EngineSettings engine_settings(const LaunchPlan& plan) {
  const Problem& problem = plan.problem;
  EngineSettings out;
  out.model = fmt::format("\"${{MODEL:-{}}}\"", problem.model.name);
  out.prompt = problem.workload.prompt;
  out.longest = problem.workload.prompt + problem.workload.output;
  const int asked = problem.workload.concurrency.value_or(problem.workload.batch.value_or(0));
  const int replicas = std::max(1, plan.layout.dp);
  out.sequences = (asked + replicas - 1) / replicas;
  if (plan.engine) {
    out.memory_fraction = plan.engine->cache_fraction;
    out.batched_tokens = plan.engine->max_batched_tokens;
    if (out.sequences == 0) out.sequences = plan.engine->max_sequences;
  }
  if (problem.memory_margin > 0) out.memory_fraction = 1 - problem.memory_margin;
  return out;
}

std::string fraction_text(double fraction) {
  return fmt::format("{:g}", std::floor(fraction * 1000) / 1000);
}

std::string once_per_replica(const Layout& layout, const std::string& command) {
  if (layout.dp == 1) return "PORT=\"${PORT:-8000}\"\nexec " + command;
  const int devices = layout.devices() / layout.dp;
  return fmt::format(
      "# {} independent servers, each on {} devices and a port of its own.\n"
      "{}{}); do\n"
      "  PORT=$((8000 + replica))\n"
      "  first=$((replica * {}))\n"
      "  CUDA_VISIBLE_DEVICES=$(seq -s, \"$first\" $((first + {}))) {}"
      "done\nwait\n",
      layout.dp, devices, kLoop, layout.dp - 1, devices, devices - 1,
      // Each in the background.
      command.substr(0, command.size() - 1) + " &\n");
}

int replicas_of_script(std::string_view text) {
  const std::size_t at = text.find(kLoop);
  if (at == std::string_view::npos) return 1;
  int last = 0;
  const char* begin = text.data() + at + kLoop.size();
  std::from_chars(begin, text.data() + text.size(), last);
  return last < 0 || last >= 1'000'000 ? 0 : last + 1;  // 0: refused as a degree
}

}  // namespace meshplan::planner
