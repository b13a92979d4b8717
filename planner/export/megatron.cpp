// Megatron-LM core_v0.15.3: the flags of pretrain_gpt.py in a script that torchrun starts.
// Keys: megatron/training/arguments.py.
#include <fmt/format.h>

#include "planner/export/canonical_layout.h"
#include "planner/export/framework_format.h"
#include "planner/export/megatron_flags.h"
#include "planner/export/megatron_layout_string.h"
#include "planner/export/megatron_model.h"
#include "planner/export/shell_script.h"
#include "planner/layout/layout_text.h"

namespace meshplan::planner {
namespace {

constexpr std::string_view kProgram = "pretrain_gpt.py";

void add_pipeline(const LaunchPlan& plan, ShellCommand& command) {
  const Layout& l = plan.layout;
  const std::vector<int> layers = layers_of_chunks(plan);
  const SplitShape split = split_shape(layers);
  if (!split.even && !split.ends_short) {
    command.flag("--pipeline-model-parallel-layout", megatron_layout_string(layers));
    return;
  }
  if (!split.even) {
    command.flag("--account-for-embedding-in-pipeline-split");
    command.flag("--account-for-loss-in-pipeline-split");
  }
  if (l.vpp > 1) command.flag("--num-virtual-stages-per-pipeline-rank", l.vpp);
}

void add_sharding(const Layout& l, ShellCommand& command) {
  if (l.zero >= 1) command.flag("--use-distributed-optimizer");
  if (l.zero >= 2) {
    command.flag("--use-megatron-fsdp");
    command.flag("--data-parallel-sharding-strategy",
                 std::string(l.zero == 2 ? "optim_grads" : "optim_grads_params"));
    command.flag("--no-gradient-accumulation-fusion");
    command.flag("--ckpt-format", std::string("fsdp_dtensor"));
  }
  if (l.hsdp > 1) command.flag("--num-distributed-optimizer-instances", l.hsdp);
  if (l.offload == Offload::Optimizer) {
    command.flag("--optimizer-cpu-offload");
    command.flag("--use-precision-aware-optimizer");
  }
  // ZeRO-2 and 3 reduce, and ZeRO-3 gathers, beside compute whatever the layout says.
  const bool grad = l.overlap != Overlap::None || l.zero >= 2;
  const bool param =
      l.zero == 3 ||
      (l.zero >= 1 && (l.overlap == Overlap::GradParam || l.overlap == Overlap::GradParamTp));
  if (grad || param) command.flag("--overlap-grad-reduce");
  if (param) command.flag("--overlap-param-gather");
  if (l.overlap == Overlap::GradParamTp && l.sp) command.flag("--tp-comm-overlap");
}

void add_layout(const LaunchPlan& plan, ShellCommand& command) {
  const Layout& l = plan.layout;
  command.flag("--tensor-model-parallel-size", l.tp);
  command.flag("--pipeline-model-parallel-size", l.pp);
  add_pipeline(plan, command);
  if (l.cp > 1) {
    command.flag("--context-parallel-size", l.cp);
    command.flag("--cp-comm-type", std::string(l.cp_kind == ContextKind::Ring        ? "p2p"
                                               : l.cp_kind == ContextKind::AllGather ? "all_gather"
                                                                                     : "a2a"));
  }
  if (l.ep > 1) command.flag("--expert-model-parallel-size", l.ep);
  if (l.expert_tp() != l.tp) command.flag("--expert-tensor-parallel-size", l.expert_tp());
  if (l.sp) command.flag("--sequence-parallel");
  const std::array<Axis, 4> usual = Layout{}.order;
  if (l.order != usual && places_ranks_as(l, kPipelineInside) && !places_ranks_as(l, usual)) {
    command.flag("--use-tp-pp-dp-mapping");
  }
  add_sharding(l, command);
  if (l.recompute != Recompute::None) {
    command.flag("--recompute-granularity", std::string(name(l.recompute)));
  }
  if (l.recompute == Recompute::Full) {
    command.flag("--recompute-method", std::string("uniform"));
    command.flag("--recompute-num-layers", 1);
  }
}

void add_workload(const LaunchPlan& plan, ShellCommand& command) {
  const Problem& problem = plan.problem;
  command.flag("--micro-batch-size", plan.layout.mbs);
  command.flag("--global-batch-size", problem.workload.global_batch);
  command.flag("--seq-length", problem.workload.seq_len);
  using profiles::DataType;
  const DataType type = problem.workload.data_type;
  if (type == DataType::Bf16 || type == DataType::Fp8) command.flag("--bf16");
  if (type == DataType::Fp16) command.flag("--fp16");
  if (type == DataType::Fp8) command.flag("--fp8-format", std::string("hybrid"));
  command.flag("--optimizer", std::string(name(problem.workload.optimizer)));
  command.flag("--attention-backend",
               std::string(problem.uses_flash_attention() ? "auto" : "unfused"));
}

std::string write(const LaunchPlan& plan) {
  const Layout& l = plan.layout;
  const LaunchNodes where = launch_nodes(plan);
  std::string out = "#!/usr/bin/env bash\n" + comment_lines(plan);
  out += where.nodes > 1
             ? "# Run on every node, in a checkout of Megatron-LM, with NODE_RANK and MASTER_ADDR "
               "set.\n"
             : "# Run in a checkout of Megatron-LM.\n";
  out += "# Twenty steps on mock data; flags given to this script come last and win.\n";
  out += "set -euo pipefail\n";
  const bool fsdp = l.zero >= 2;
  if (fsdp) out += "unset CUDA_DEVICE_MAX_CONNECTIONS\n";
  if (!fsdp && (l.tp > 1 || l.cp > 1)) out += "export CUDA_DEVICE_MAX_CONNECTIONS=1\n";
  ShellCommand command("exec torchrun");
  command.flag("--nproc-per-node", where.per_node);
  command.flag("--nnodes", where.nodes);
  if (where.nodes > 1) {
    command.raw("--node-rank \"${NODE_RANK:?0 to " + std::to_string(where.nodes - 1) + "}\"");
    command.raw("--master-addr \"${MASTER_ADDR:?address of node 0}\"");
    command.raw("--master-port \"${MASTER_PORT:-29500}\"");
  }
  command.raw(std::string(kProgram));
  add_layout(plan, command);
  add_workload(plan, command);
  add_megatron_model(plan.problem.model, plan.problem.workload, command);
  command.flag("--mock-data");
  command.flag("--train-iters", 20);
  command.flag("--eval-iters", 0);
  command.flag("--lr", std::string("1.0e-4"));
  command.raw("\"$@\"");
  return out + command.text();
}

FlagList flags_of(std::string_view text, const std::string& where) {
  return read_flags(read_shell_script(text, kProgram, where).arguments);
}

Layout read(std::string_view text, const Problem& problem, const std::string& where) {
  const ShellScript script = read_shell_script(text, kProgram, where);
  const FlagList launcher = read_flags(script.launcher);
  const int world = launcher.number("--nproc-per-node", where).value_or(1) *
                    launcher.number("--nnodes", where).value_or(1);
  const FlagList flags = read_flags(script.arguments);
  require_megatron_model(flags, problem.model, where);
  return read_megatron_flags(flags, problem.model.layers, world, where).layout;
}

std::vector<std::string> keys(std::string_view text, const std::string& where) {
  std::vector<std::string> out;
  for (const FlagList::Flag& flag : flags_of(text, where).flags) out.push_back(flag.name);
  return out;
}

}  // namespace

const FrameworkFormat kMegatronFormat = {"megatron", write, read, keys};

}  // namespace meshplan::planner
