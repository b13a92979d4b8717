#pragma once
#include <string>

#include "cli/problem_options.h"
#include "planner/layout/layout.h"
#include "planner/problem.h"

namespace meshplan::cli {

/// What the flags of a Megatron-LM run ask: `--from-megatron`.
struct MegatronQuestion {
  planner::Problem problem;
  planner::Layout layout;
};

/// `flags`: as a shell would read them, with or without torchrun and pretrain_gpt.py before them.
/// They give layout, workload and, without --model, the model; `options` gives the cluster and
/// whatever else they leave open. Habits are megatron's unless --framework says otherwise. Flags
/// that say nothing of a plan are listed on standard error. Throws InputError for flags that
/// contradict each other or the options.
MegatronQuestion question_from_megatron(const std::string& flags, ProblemOptions options,
                                        const profiles::DataFiles& files);

}  // namespace meshplan::cli
