// DeepSpeed 0.18.2: its JSON. Pipeline stages are code there, not configuration: the call that
// makes them stands beside the notes, under "_meshplan", which DeepSpeed passes over.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "planner/export/framework_format.h"
#include "planner/export/python_source.h"
#include "planner/layout/legality.h"
#include "profiles/input_error.h"
#include "profiles/json_node.h"

namespace meshplan::planner {
namespace {

using Json = nlohmann::ordered_json;
using profiles::JsonNode;

std::string optimizer_type(Optimizer optimizer) {
  switch (optimizer) {
    case Optimizer::Adam:
      return "AdamW";
    case Optimizer::Sgd:
      return "SGD";
    case Optimizer::Lion:
      return "Lion";
  }
  return "AdamW";
}

Json zero_json(const Layout& l) {
  Json out = {{"stage", l.zero}};
  if (l.zero == 0) return out;
  // ZeRO-2 and 3 reduce beside backward whatever the layout says.
  out["overlap_comm"] = l.pp == 1 && (l.zero >= 2 || l.overlap != Overlap::None);
  if (l.hsdp > 1) out["mics_shard_size"] = l.dp / l.hsdp;
  if (l.offload == Offload::Optimizer) out["offload_optimizer"] = {{"device", "cpu"}};
  return out;
}

std::string pipeline_call(const Layout& l) {
  return fmt::format(
      "PipelineModule(layers=layers, "
      "topology=PipeModelDataParallelTopology(num_pp={}, num_mp={}, num_dp={}), "
      "partition_method=\"type:layer\", activation_checkpoint_interval={})",
      l.pp, l.tp, l.dp, l.recompute == Recompute::Full ? 1 : 0);
}

std::string write(const LaunchPlan& plan) {
  const Layout& l = plan.layout;
  const Workload& workload = plan.problem.workload;
  const LaunchNodes where = launch_nodes(plan);
  Json about = {{"notes", plan.notes},
                {"run", fmt::format("deepspeed --num_nodes {} --num_gpus {} train.py "
                                    "--deepspeed_config THIS_FILE",
                                    where.nodes, where.per_node)}};
  if (l.pp > 1) about["pipeline_module"] = pipeline_call(l);
  Json out = {{"_meshplan", about},
              {"train_batch_size", workload.global_batch},
              {"train_micro_batch_size_per_gpu", l.mbs},
              {"gradient_accumulation_steps", microbatches(l, workload)},
              {"gradient_clipping", 1.0}};
  using profiles::DataType;
  if (workload.data_type == DataType::Bf16) out["bf16"] = {{"enabled", true}};
  if (workload.data_type == DataType::Fp16) out["fp16"] = {{"enabled", true}};
  out["optimizer"] = {{"type", optimizer_type(workload.optimizer)}, {"params", {{"lr", 1e-4}}}};
  // ZeRO knows the states of Adam and Lion; torch's SGD works but was never tested with it.
  if (l.zero > 0 && workload.optimizer == Optimizer::Sgd) {
    out["zero_allow_untested_optimizer"] = true;
  }
  out["zero_optimization"] = zero_json(l);
  if (l.pp == 1 && l.tp > 1) out["tensor_parallel"] = {{"autotp_size", l.tp}};
  if (l.pp > 1) {
    out["pipeline"] = {{"stages", l.pp},
                       {"activation_checkpoint_interval", l.recompute == Recompute::Full ? 1 : 0}};
  }
  if (l.recompute == Recompute::Full) {
    out["activation_checkpointing"] = {{"partition_activations", false},
                                       {"number_checkpoints", plan.problem.model.layers}};
  }
  return out.dump(2) + "\n";
}

int count_at(const JsonNode& node, std::string_view section, std::string_view key) {
  const auto inside = node.find_value(section);
  if (!inside) return 1;
  const auto value = inside->find_value(key);
  return value ? value->count() : 1;
}

Layout read(std::string_view text, const Problem&, const std::string& where) {
  const JsonNode document = JsonNode::parse(text, where);
  Layout out;
  out.mbs = document.at("train_micro_batch_size_per_gpu").count();
  const int steps = document.at("gradient_accumulation_steps").count();
  const int batch = document.at("train_batch_size").count();
  const std::int64_t each = std::int64_t{1} * out.mbs * steps;
  if (batch % each != 0) document.at("train_batch_size").refuse("micro-batch * steps * replicas");
  out.dp = static_cast<int>(batch / each);
  out.tp = count_at(document, "tensor_parallel", "autotp_size");
  out.pp = count_at(document, "pipeline", "stages");
  if (out.pp > 1) {
    const std::string code = document.at("_meshplan").at("pipeline_module").string();
    const auto topology = python_call(code, "PipeModelDataParallelTopology");
    if (!topology || !topology->named.contains("num_mp")) {
      document.at("_meshplan").at("pipeline_module").refuse("PipeModelDataParallelTopology");
    }
    out.tp = python_number(topology->named.at("num_mp"), where);
  }
  const JsonNode zero = document.at("zero_optimization");
  out.zero = static_cast<int>(zero.at("stage").integer(0, 3));
  if (const auto shards = zero.find_value("mics_shard_size")) out.hsdp = out.dp / shards->count();
  if (zero.find_value("offload_optimizer")) out.offload = Offload::Optimizer;
  if (const auto overlap = zero.find_value("overlap_comm"); overlap && overlap->boolean()) {
    if (out.zero == 1) out.overlap = Overlap::Grad;
  }
  if (document.find_value("activation_checkpointing")) out.recompute = Recompute::Full;
  return out;
}

std::vector<std::string> keys(std::string_view text, const std::string& where) {
  std::vector<std::string> out;
  for (const auto& [key, value] : JsonNode::parse(text, where).members()) {
    if (key == "_meshplan") continue;
    out.push_back(key);
    if (!value.is_object()) continue;
    for (const auto& [inner, unused] : value.members()) out.push_back(key + "." + inner);
  }
  return out;
}

}  // namespace

const FrameworkFormat kDeepSpeedFormat = {"deepspeed", write, read, keys};

}  // namespace meshplan::planner
