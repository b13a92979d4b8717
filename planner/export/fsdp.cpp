// PyTorch 2.9: fully_shard on a device mesh, a snippet to call with one's own model.
#include <fmt/format.h>

#include "planner/export/framework_format.h"
#include "planner/export/python_source.h"
#include "planner/layout/legality.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

std::string write(const LaunchPlan& plan) {
  const Layout& l = plan.layout;
  const LaunchNodes where = launch_nodes(plan);
  const bool hybrid = l.hsdp > 1;
  std::string out = comment_lines(plan);
  out += fmt::format("# Run with torchrun --nproc-per-node {} --nnodes {}\n", where.per_node,
                     where.nodes);
  out +=
      "import torch\n"
      "from torch.distributed.device_mesh import init_device_mesh\n"
      "from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard\n";
  out += python_recompute(l.recompute);
  if (l.recompute == Recompute::None) out += "\n";
  out += fmt::format("MICRO_BATCH_SIZE = {}  # sequences of a rank and backward\n", l.mbs);
  out += fmt::format("GRADIENT_ACCUMULATION_STEPS = {}  # backwards of a step\n",
                     microbatches(l, plan.problem.workload));
  out += fmt::format("SEQ_LEN = {}\n\n", plan.problem.workload.seq_len);
  out += hybrid ? fmt::format(
                      "mesh = init_device_mesh(\"cuda\", ({}, {}), "
                      "mesh_dim_names=(\"replicate\", \"shard\"))\n",
                      l.hsdp, l.dp / l.hsdp)
                : fmt::format(
                      "mesh = init_device_mesh(\"cuda\", ({},), "
                      "mesh_dim_names=(\"shard\",))\n",
                      l.dp);
  out += fmt::format(
      "mp_policy = MixedPrecisionPolicy(param_dtype={}, reduce_dtype=torch.float32)\n\n\n",
      torch_dtype(name(plan.problem.workload.data_type)));
  const std::string arguments = fmt::format(
      "mesh=mesh, mp_policy=mp_policy, reshard_after_forward={}", l.zero == 3 ? "True" : "False");
  out +=
      "def shard(model, layers):\n"
      "    \"\"\"Shards the decoder layers (a ModuleList) one by one, then the rest.\"\"\"\n"
      "    for index in range(len(layers)):\n";
  if (l.recompute != Recompute::None) out += "        layers[index] = recompute(layers[index])\n";
  out += "        fully_shard(layers[index], " + arguments + ")\n";
  out += "    fully_shard(model, " + arguments + ")\n";
  return out + "    return model\n";
}

Layout read(std::string_view text, const Problem&, const std::string& where) {
  const auto mesh = python_call(text, "init_device_mesh");
  const auto shard = python_call(text, "fully_shard");
  if (!mesh || mesh->positional.size() < 2 || !shard) {
    throw profiles::InputError(where, "init_device_mesh and fully_shard", "one of them missing");
  }
  const std::vector<int> shape = python_numbers(mesh->positional[1]);
  if (shape.empty() || shape.size() > 2) {
    throw profiles::InputError(where, "a mesh of one or two dimensions", mesh->positional[1]);
  }
  Layout out;
  out.hsdp = shape.size() == 2 ? shape[0] : 1;
  out.dp = ranks_of(out.hsdp, shape.back(), where);
  const auto reshard = shard->named.find("reshard_after_forward");
  out.zero = reshard != shard->named.end() && reshard->second == "False" ? 2 : 3;
  if (out.zero == 2) out.overlap = Overlap::GradParam;
  out.mbs = python_number(python_value(text, "MICRO_BATCH_SIZE"), where);
  out.recompute = recompute_of(text);
  return out;
}

std::vector<std::string> keys(std::string_view text, const std::string&) {
  return python_keys(
      text, {"init_device_mesh", "MixedPrecisionPolicy", "fully_shard", "checkpoint_wrapper"});
}

}  // namespace

const FrameworkFormat kFsdpFormat = {"fsdp", write, read, keys};

}  // namespace meshplan::planner
