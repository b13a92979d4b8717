#include "profiles/framework.h"

#include <algorithm>
#include <cctype>

namespace meshplan::profiles {
namespace {

/// What runs, papers and people call software whose habits stand in one file.
constexpr FrameworkAlias kAliases[] = {
    {"megatron-lm", "megatron"},
    {"mcore", "megatron-core"},
    {"megatron-bridge", "nemo"},
    {"nemo-megatron", "nemo"},
    {"nemo2", "nemo"},
    {"nvidia-nemo", "nemo"},
    {"nemo-framework", "nemo"},
    {"nemo-2.0", "nemo"},
    {"zero", "deepspeed"},
    {"deepspeed-zero", "deepspeed"},
    {"deepspeed-megatron", "megatron-deepspeed"},
    {"bigscience", "megatron-deepspeed"},
    {"gpt-neox", "megatron-deepspeed"},  // a fork of Megatron's model code on DeepSpeed
    {"fsdp1", "fsdp"},
    {"fsdp2", "fsdp"},
    {"fully-shard", "fsdp"},
    {"pytorch-fsdp", "fsdp"},
    {"pytorch-fsdp2", "fsdp"},
    {"torch-fsdp", "fsdp"},
    {"pytorch", "fsdp"},
    {"torch", "fsdp"},
    {"pytorch-ddp", "fsdp"},
    {"ddp", "fsdp"},
    // Trainers around transformers' plain PyTorch models, sharded by FSDP.
    {"accelerate", "fsdp"},
    {"transformers", "fsdp"},
    {"hf-trainer", "fsdp"},
    {"trl", "fsdp"},
    {"axolotl", "fsdp"},
    {"lightning", "fsdp"},
    {"litgpt", "fsdp"},
    {"torchtune", "fsdp"},
    {"llama-recipes", "fsdp"},
    {"llama-factory", "fsdp"},
    {"olmo", "fsdp"},
    {"titan", "torchtitan"},
    {"llm-foundry", "composer"},
    {"mosaicml", "composer"},
    {"mosaicml-composer", "composer"},
    {"jax", "maxtext"},
    {"xla", "maxtext"},
    {"paxml", "maxtext"},
    {"pax", "maxtext"},
    {"axlearn", "maxtext"},
    {"levanter", "maxtext"},
    {"fairscale", "metaseq"},
};

MemoryKind read_memory_kind(const JsonNode& node) {
  const std::string text = node.string();
  if (text == "allocated") return MemoryKind::Allocated;
  if (text == "reserved") return MemoryKind::Reserved;
  if (text != "device") node.refuse("allocated, reserved or device");
  return MemoryKind::Device;
}

DeferredReduction read_deferral(const JsonNode& node) {
  const std::string text = node.string();
  if (text == "always") return DeferredReduction::Always;
  if (text == "stages") return DeferredReduction::Stages;
  if (text != "never") node.refuse("never, stages or always");
  return DeferredReduction::Never;
}

void read_into(Framework& out, const JsonNode& file) {
  file.require_schema("framework");
  file.refuse_unknown_keys({"schema", "name", "source", "states", "loss", "allocator", "time",
                            "spread", "activations", "stalls", "successor", "of_data_type",
                            "based_on"});
  if (const auto node = file.find_value("spread")) out.spread = node->positive_number();
  const auto real = [](const JsonNode& group, std::string_view key, double& value) {
    if (const auto node = group.find_value(key)) {
      value = node->number();
      if (value < 0) node->refuse("a number of at least 0");
    }
  };
  const auto flag = [](const JsonNode& group, std::string_view key, bool& value) {
    if (const auto node = group.find_value(key)) value = node->boolean();
  };
  const auto size = [](const JsonNode& group, std::string_view key, Bytes& value) {
    if (const auto node = group.find_value(key)) value = {node->integer(0, INT64_C(1) << 40)};
  };
  const auto time = [&](const JsonNode& group, std::string_view key, Seconds& value) {
    double seconds = value.count();
    real(group, key, seconds);
    value = Seconds{seconds};
  };
  if (const auto states = file.find("states")) {
    states->refuse_unknown_keys({"weight_bytes", "gradient_bytes", "backward_gradient_bytes",
                                 "master_bytes", "moment_bytes", "gathered_bytes",
                                 "reduced_gradient_bytes", "reduction_bytes", "prefetched_units",
                                 "accumulation_bytes", "step_bytes", "whole_step_bytes",
                                 "pads_vocabulary", "deferred_reduction", "deferred_gradient_bytes",
                                 "gather_copy_bytes", "reduce_copy_bytes", "reduces_whole"});
    flag(*states, "reduces_whole", out.reduces_whole);
    real(*states, "weight_bytes", out.weight_bytes);
    real(*states, "gradient_bytes", out.gradient_bytes);
    real(*states, "backward_gradient_bytes", out.backward_gradient_bytes);
    real(*states, "master_bytes", out.master_bytes);
    real(*states, "moment_bytes", out.moment_bytes);
    real(*states, "gathered_bytes", out.gathered_bytes);
    real(*states, "reduced_gradient_bytes", out.reduced_gradient_bytes);
    real(*states, "reduction_bytes", out.reduction_bytes);
    real(*states, "prefetched_units", out.prefetched_units);
    real(*states, "accumulation_bytes", out.accumulation_bytes);
    real(*states, "step_bytes", out.step_bytes);
    real(*states, "whole_step_bytes", out.whole_step_bytes);
    flag(*states, "pads_vocabulary", out.pads_vocabulary);
    if (const auto value = states->find_value("deferred_reduction")) {
      out.deferred_reduction = read_deferral(*value);
    }
    real(*states, "deferred_gradient_bytes", out.deferred_gradient_bytes);
    real(*states, "gather_copy_bytes", out.gather_copy_bytes);
    real(*states, "reduce_copy_bytes", out.reduce_copy_bytes);
  }
  if (const auto saved = file.find("activations")) {
    saved->refuse_unknown_keys({"norm_saved_bytes", "unfused_gate", "recompute_by_recipe",
                                "side_stream_bytes", "selective_products", "own_executor",
                                "keeps_gathered_inputs"});
    flag(*saved, "keeps_gathered_inputs", out.keeps_gathered_inputs);
    real(*saved, "selective_products", out.selective_products);
    flag(*saved, "own_executor", out.own_executor);
    real(*saved, "side_stream_bytes", out.side_stream_bytes);
    real(*saved, "norm_saved_bytes", out.norm_saved_bytes);
    flag(*saved, "unfused_gate", out.unfused_gate);
    flag(*saved, "recompute_by_recipe", out.recompute_by_recipe);
  }
  if (const auto loss = file.find("loss")) {
    loss->refuse_unknown_keys(
        {"bytes_per_logit", "traffic_per_logit", "embedding_gradient_transient"});
    real(*loss, "bytes_per_logit", out.loss_bytes_per_logit);
    real(*loss, "traffic_per_logit", out.loss_traffic_per_logit);
    flag(*loss, "embedding_gradient_transient", out.embedding_gradient_transient);
  }
  if (const auto allocator = file.find("allocator")) {
    allocator->refuse_unknown_keys({"fragmentation", "context_bytes", "communicator_bytes",
                                    "workspace_bytes", "reports", "reports_first_stage",
                                    "reports_gibibytes", "retry_fill", "retry_seconds"});
    real(*allocator, "retry_fill", out.retry_fill);
    time(*allocator, "retry_seconds", out.retry);
    real(*allocator, "fragmentation", out.fragmentation);
    if (const auto node = allocator->find_value("reports")) out.reports = read_memory_kind(*node);
    flag(*allocator, "reports_first_stage", out.reports_first_stage);
    flag(*allocator, "reports_gibibytes", out.reports_gibibytes);
    size(*allocator, "context_bytes", out.context);
    size(*allocator, "communicator_bytes", out.communicator);
    size(*allocator, "workspace_bytes", out.workspace);
  }
  if (const auto node = file.find("time")) {
    node->refuse_unknown_keys({"flash_attention",
                               "flash2",
                               "attention_slowdown",
                               "context_step_bytes",
                               "context_repeats_kv",
                               "context_gradient_bytes",
                               "dropout",
                               "pipelined_tp_step_seconds",
                               "network_call_seconds",
                               "ring_step_seconds",
                               "sparse_layer_host_seconds",
                               "grouped_low_precision",
                               "graphs_on_grace",
                               "gathers_by_tensor",
                               "cuts_stages_by_cost",
                               "embedding_gradient_bytes",
                               "collectives_beside_compute",
                               "shards_tied_gradients",
                               "elementwise_passes",
                               "rms_norm_passes",
                               "cast_bytes",
                               "weight_cast_bytes",
                               "gathers_after_cast",
                               "kernel_launch_seconds",
                               "step_overhead_seconds",
                               "kernels_per_operator",
                               "overlap_grad",
                               "overlap_whole_grad",
                               "overlap_param",
                               "overlap_tp",
                               "overlap_p2p",
                               "single_p2p",
                               "sequence_parallel_async",
                               "tp_overlap_fraction",
                               "gather_efficiency"});
    flag(*node, "flash_attention", out.flash_attention);
    flag(*node, "flash2", out.flash2);
    real(*node, "attention_slowdown", out.attention_slowdown);
    real(*node, "context_step_bytes", out.context_step_bytes);
    flag(*node, "context_repeats_kv", out.context_repeats_kv);
    real(*node, "context_gradient_bytes", out.context_gradient_bytes);
    flag(*node, "dropout", out.dropout);
    time(*node, "pipelined_tp_step_seconds", out.pipelined_tp_step);
    time(*node, "network_call_seconds", out.network_call);
    time(*node, "ring_step_seconds", out.ring_step);
    time(*node, "sparse_layer_host_seconds", out.sparse_layer_host);
    real(*node, "grouped_low_precision", out.grouped_low_precision);
    flag(*node, "graphs_on_grace", out.graphs_on_grace);
    flag(*node, "gathers_by_tensor", out.gathers_by_tensor);
    flag(*node, "cuts_stages_by_cost", out.cuts_stages_by_cost);
    real(*node, "elementwise_passes", out.elementwise_passes);
    real(*node, "rms_norm_passes", out.rms_norm_passes);
    real(*node, "cast_bytes", out.cast_bytes);
    real(*node, "weight_cast_bytes", out.weight_cast_bytes);
    flag(*node, "gathers_after_cast", out.gathers_after_cast);
    time(*node, "kernel_launch_seconds", out.kernel_launch);
    time(*node, "step_overhead_seconds", out.step_overhead);
    if (const auto count = node->find_value("kernels_per_operator")) {
      out.kernels_per_operator = count->count();
    }
    real(*node, "embedding_gradient_bytes", out.embedding_gradient_bytes);
    flag(*node, "collectives_beside_compute", out.collectives_beside_compute);
    flag(*node, "shards_tied_gradients", out.shards_tied_gradients);
    flag(*node, "overlap_grad", out.overlap_grad);
    flag(*node, "overlap_whole_grad", out.overlap_whole_grad);
    flag(*node, "overlap_param", out.overlap_param);
    flag(*node, "overlap_tp", out.overlap_tp);
    flag(*node, "overlap_p2p", out.overlap_p2p);
    flag(*node, "single_p2p", out.single_p2p);
    flag(*node, "sequence_parallel_async", out.sequence_parallel_async);
    real(*node, "tp_overlap_fraction", out.tp_overlap_fraction);
    real(*node, "gather_efficiency", out.gather_efficiency);
  }
  if (const auto node = file.find("stalls")) {
    node->refuse_unknown_keys({"transfer_seconds", "ranks", "all_reduce_bytes_per_second"});
    time(*node, "transfer_seconds", out.stalled_transfer);
    if (const auto ranks = node->find_value("ranks")) {
      out.stalled_ranks = ranks->count();
      out.stalled_all_reduce = {node->at("all_reduce_bytes_per_second").positive_number()};
    }
  }
}

/// The file that stands for this software in `type`, where another than `file` does.
std::optional<std::string> other_for_data_type(const JsonNode& file, std::optional<DataType> type) {
  const auto others = file.find("of_data_type");
  if (!others) return std::nullopt;
  std::optional<std::string> out;
  for (const auto& [key, value] : others->members()) {
    const auto of = data_type_from(key);
    if (!of) value.refuse("a data type as its key");
    if (of == type) out = value.string();
  }
  return out;
}

}  // namespace

std::span<const FrameworkAlias> framework_aliases() { return kAliases; }

std::string framework_id_of(const std::string& name_or_alias) {
  std::string id = name_or_alias;
  for (char& letter : id) {
    const bool joins = letter == ' ' || letter == '_';
    letter = joins ? '-' : static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  }
  for (const FrameworkAlias& alias : kAliases) {
    if (alias.alias == id) return std::string(alias.id);
  }
  return id;
}

Framework load_framework(const std::string& name, const DataFiles& files,
                         const SoftwareSetting& setting) {
  Framework out;
  read_into(out, files.at("frameworks", "generic", "framework"));
  if (name.empty()) {
    out.name = "generic";
    return out;
  }
  out.name = framework_id_of(name);
  if (out.name == "generic") return out;
  const auto file = files.find("frameworks/" + out.name);
  out.known = file.has_value();
  if (!file) return out;
  if (const auto next = file->find("successor")) {
    next->refuse_unknown_keys({"compute_capability", "name"});
    if (setting.compute_capability >= next->at("compute_capability").count()) {
      return load_framework(next->at("name").string(), files);
    }
  }
  if (const auto other = other_for_data_type(*file, setting.data_type)) {
    return load_framework(*other, files);
  }
  if (const auto base = file->find_value("based_on")) {
    read_into(out, files.at("frameworks", base->string(), "framework"));
  }
  read_into(out, *file);
  return out;
}

Framework with_operators(Framework framework, bool compiled, const DataFiles& files) {
  read_into(framework,
            files.at("frameworks", compiled ? "pytorch-compiled" : "pytorch-eager", "framework"));
  return framework;
}

}  // namespace meshplan::profiles
