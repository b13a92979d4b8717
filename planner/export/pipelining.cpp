// torch.distributed.pipelining of PyTorch 2.9: manual stages and a schedule. 1F1B and GPipe are its
// own classes; every other order is handed over as the CSV that its runtime loads.
#include <fmt/format.h>

#include <algorithm>

#include "planner/export/framework_format.h"
#include "planner/export/python_source.h"
#include "planner/layout/layout_text.h"
#include "planner/layout/legality.h"
#include "planner/schedule/build_schedule.h"
#include "planner/schedule/schedule_csv.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

constexpr std::string_view kCsvStart = "SCHEDULE_CSV = \"\"\"\\\n";
constexpr std::string_view kCsvEnd = "\"\"\"\n";

std::string_view class_of(ScheduleKind kind) {
  if (kind == ScheduleKind::OneFOneB) return "Schedule1F1B";
  if (kind == ScheduleKind::GPipe) return "ScheduleGPipe";
  return "";  // as CSV
}

std::string own_order(const Layout& l, int count) {
  return schedule_csv(build_schedule(l.schedule, l.pp, l.chunks_per_stage(), count));
}

std::string imports(const Layout& l) {
  std::string out = "import tempfile\n\nimport torch\n";
  if (!class_of(l.schedule).empty()) out = "import torch\n";
  out += "from torch.distributed.device_mesh import init_device_mesh\n";
  if (l.zero == 3) out += "from torch.distributed.fsdp import fully_shard\n";
  if (class_of(l.schedule).empty()) {
    out +=
        "from torch.distributed.pipelining import PipelineStage\n"
        "from torch.distributed.pipelining.schedules import _PipelineScheduleRuntime\n";
  } else {
    out += fmt::format("from torch.distributed.pipelining import PipelineStage, {}\n",
                       class_of(l.schedule));
  }
  if (l.zero == 0 && l.dp > 1) {
    out += "from torch.nn.parallel import DistributedDataParallel\n";
  }
  return out;
}

std::string build_function(const Layout& l, std::string_view data_type) {
  std::string out =
      "def build(modules, device, loss_fn):\n"
      "    \"\"\"`modules`: those of this rank by stage index, each with STAGE_LAYERS[index]\n"
      "    decoder layers, the embedding in stage 0 and the head in the last.\"\"\"\n"
      "    group = mesh.get_group(\"pp\")\n"
      "    stages = []\n"
      "    for index, module in sorted(modules.items()):\n";
  out += fmt::format("        module = module.to(device, {})\n", torch_dtype(data_type));
  if (l.recompute != Recompute::None) {
    out +=
        "        for name, layer in module.layers.named_children():\n"
        "            module.layers.register_module(name, recompute(layer))\n";
  }
  if (l.zero == 3) {
    out += "        fully_shard(module, mesh=mesh[\"dp\"], reshard_after_forward=True)\n";
  } else if (l.dp > 1) {
    out +=
        "        module = DistributedDataParallel(module, process_group=mesh.get_group(\"dp\"))\n";
  }
  out +=
      "        stages.append(PipelineStage(module, index, len(STAGE_LAYERS), device, "
      "group=group))\n";
  if (!class_of(l.schedule).empty()) {
    return out + fmt::format(
                     "    return {}(stages[0], n_microbatches=N_MICROBATCHES, "
                     "loss_fn=loss_fn)\n",
                     class_of(l.schedule));
  }
  out +=
      "    schedule = _PipelineScheduleRuntime(\n"
      "        stages, n_microbatches=N_MICROBATCHES, loss_fn=loss_fn\n    )\n";
  if (l.schedule == ScheduleKind::ZbV) {
    out +=
        "    # The chunks lie in a V: rank r holds stages r and 2 p - 1 - r.\n"
        "    ranks = {i: min(i, len(STAGE_LAYERS) - 1 - i) for i in "
        "range(len(STAGE_LAYERS))}\n"
        "    schedule.stage_index_to_group_rank = ranks\n"
        "    for stage in stages:\n"
        "        stage.stage_index_to_group_rank = ranks\n";
  }
  return out +
         "    with tempfile.NamedTemporaryFile(\"w\", suffix=\".csv\") as file:\n"
         "        file.write(SCHEDULE_CSV)\n"
         "        file.flush()\n"
         "        schedule._load_csv(file.name, format=\"compute_only\")\n"
         "    return schedule\n";
}

std::string write(const LaunchPlan& plan) {
  const Layout& l = plan.layout;
  const LaunchNodes where = launch_nodes(plan);
  const int count = microbatches(l, plan.problem.workload);
  std::string out = comment_lines(plan);
  out += fmt::format("# Run with torchrun --nproc-per-node {} --nnodes {}\n", where.per_node,
                     where.nodes);
  out += imports(l) + python_recompute(l.recompute);
  if (l.recompute == Recompute::None) out += "\n";
  out += fmt::format("STAGE_LAYERS = {}\n", python_list(layers_of_chunks(plan)));
  out += fmt::format("MICRO_BATCH_SIZE = {}\n", l.mbs);
  out += fmt::format("N_MICROBATCHES = {}\n", count);
  out += fmt::format("SEQ_LEN = {}\n", plan.problem.workload.seq_len);
  out += fmt::format("SCHEDULE = \"{}\"\n", name(l.schedule));
  if (class_of(l.schedule).empty()) {
    out +=
        "# One row a rank: <stage><F forward | I input gradient | W weight gradient | B "
        "both><micro-batch>.\n";
    out += std::string(kCsvStart) + own_order(l, count) + std::string(kCsvEnd);
  }
  out += fmt::format(
      "\nmesh = init_device_mesh(\"cuda\", ({}, {}), mesh_dim_names=(\"pp\", "
      "\"dp\"))\n\n\n",
      l.pp, l.dp);
  return out + build_function(l, name(plan.problem.workload.data_type));
}

/// Throws unless the CSV of `text` is the order of `layout`.
void require_order(std::string_view text, const Layout& layout, int count,
                   const std::string& where) {
  const std::size_t start = text.find(kCsvStart);
  const std::size_t end =
      start == std::string_view::npos ? start : text.find(kCsvEnd, start + kCsvStart.size());
  if (end == std::string_view::npos) {
    throw profiles::InputError(where, "a schedule as CSV", "none");
  }
  const std::size_t begin = start + kCsvStart.size();
  const Schedule read =
      schedule_from_csv(text.substr(begin, end - begin), where + ", SCHEDULE_CSV");
  const bool alike = read.stages == layout.pp && read.microbatches == count &&
                     read.chunk_count() == layout.chunks();
  if (!alike || schedule_csv(read) != own_order(layout, count)) {
    throw profiles::InputError(where, "the order of schedule " + std::string(name(layout.schedule)),
                               "another");
  }
}

Layout read(std::string_view text, const Problem&, const std::string& where) {
  const auto mesh = python_call(text, "init_device_mesh");
  const std::vector<int> shape = mesh && mesh->positional.size() > 1
                                     ? python_numbers(mesh->positional[1])
                                     : std::vector<int>{};
  if (shape.size() != 2) throw profiles::InputError(where, "a mesh of pp and dp", "none");
  Layout out;
  out.pp = shape[0];
  out.dp = shape[1];
  out.mbs = python_number(python_value(text, "MICRO_BATCH_SIZE"), where);
  out.stages = python_numbers(python_value(text, "STAGE_LAYERS").value_or(""));
  const std::string kind = python_value(text, "SCHEDULE").value_or("");
  const auto known = std::find_if(
      kScheduleNames.begin(), kScheduleNames.end(),
      [&](const auto& entry) { return kind == "\"" + std::string(entry.first) + "\""; });
  if (known == kScheduleNames.end() || out.pp < 1 || out.stages.empty() ||
      out.stages.size() % static_cast<std::size_t>(out.pp) != 0) {
    throw profiles::InputError(where, "SCHEDULE and STAGE_LAYERS that fit the mesh", kind);
  }
  out.schedule = known->second;
  if (out.schedule == ScheduleKind::Interleaved) {
    out.vpp = static_cast<int>(out.stages.size()) / out.pp;
  }
  out.recompute = recompute_of(text);
  out.zero = python_call(text, "fully_shard") ? 3 : 0;
  if (out.zero == 0 && out.dp > 1) out.overlap = Overlap::Grad;
  if (class_of(out.schedule).empty()) {
    require_order(text, out, python_number(python_value(text, "N_MICROBATCHES"), where), where);
  }
  return out;
}

std::vector<std::string> keys(std::string_view text, const std::string&) {
  return python_keys(text, {"init_device_mesh", "PipelineStage", "Schedule1F1B", "ScheduleGPipe",
                            "_PipelineScheduleRuntime", "schedule._load_csv", "fully_shard",
                            "DistributedDataParallel", "checkpoint_wrapper"});
}

}  // namespace

const FrameworkFormat kPipeliningFormat = {"pipelining", write, read, keys};

}  // namespace meshplan::planner
