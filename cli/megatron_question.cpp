#include "cli/megatron_question.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>

#include "planner/export/megatron_flags.h"
#include "planner/export/megatron_model.h"
#include "profiles/input_error.h"

namespace meshplan::cli {
namespace {

using profiles::InputError;

const std::string kFlag = "--from-megatron";

/// What the flags say, unless the option says another number.
void settle(std::string& option, const char* option_name, const planner::FlagList& flags,
            const char* flag) {
  const auto given = flags.number(flag, kFlag);
  if (!given) return;
  const std::string text = std::to_string(*given);
  if (!option.empty() && option != text) {
    throw InputError(kFlag, fmt::format("{} {} as in {}", flag, option, option_name), text);
  }
  option = text;
}

}  // namespace

MegatronQuestion question_from_megatron(const std::string& text, ProblemOptions options,
                                        const profiles::DataFiles& files) {
  const planner::FlagList flags = planner::read_flags(planner::shell_words(text, kFlag));
  if (flags.flags.empty()) {
    throw InputError(kFlag, "flags such as '--tensor-model-parallel-size 8'", "'" + text + "'");
  }
  settle(options.seq_len, "--seq-len", flags, "--seq-length");
  settle(options.global_batch, "--global-batch", flags, "--global-batch-size");
  if (options.model.empty()) {
    options.model_config = planner::megatron_model_config(flags, kFlag).value_or("");
    if (options.model_config.empty()) {
      throw InputError("--model",
                       "a preset, a config.json, or --num-layers and --hidden-size in " + kFlag,
                       "nothing");
    }
  }
  if (options.framework.empty()) options.framework = "megatron";
  MegatronQuestion out;
  out.problem = problem_from(options, files);
  planner::Problem& problem = out.problem;
  if (!options.model.empty()) require_megatron_model(flags, problem.model, kFlag);
  const planner::MegatronRun run =
      planner::read_megatron_flags(flags, problem.model.layers, problem.cluster.devices(), kFlag);
  out.layout = run.layout;
  problem.workload.data_type = run.data_type.value_or(problem.workload.data_type);
  problem.workload.optimizer = run.optimizer.value_or(problem.workload.optimizer);
  if (run.flash_attention && !problem.flash_attention) {
    problem.flash_attention = run.flash_attention;
  }
  if (!run.ignored.empty()) {
    std::fprintf(stderr, "meshplan: note: of no account for the plan: %s\n",
                 fmt::format("{}", fmt::join(run.ignored, " ")).c_str());
  }
  return out;
}

}  // namespace meshplan::cli
