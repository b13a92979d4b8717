// torchtitan v0.2.2: its TOML (later versions take Python functions with the same fields).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "planner/export/framework_format.h"
#include "profiles/input_error.h"
#include "profiles/json_node.h"

namespace meshplan::planner {
namespace {

using profiles::InputError;
using profiles::JsonNode;

constexpr std::array<std::pair<ScheduleKind, std::string_view>, 4> kSchedules = {
    {{ScheduleKind::GPipe, "GPipe"},
     {ScheduleKind::OneFOneB, "1F1B"},
     {ScheduleKind::Interleaved, "Interleaved1F1B"},
     {ScheduleKind::ZbV, "ZBVZeroBubble"}}};

/// Flavours that torchtitan registers, by the shape that tells them apart.
struct Flavor {
  int layers, hidden;
  std::string_view model, flavor;
};
constexpr std::array<Flavor, 8> kFlavors = {{{32, 4096, "llama3", "8B"},
                                             {80, 8192, "llama3", "70B"},
                                             {126, 16384, "llama3", "405B"},
                                             {61, 7168, "deepseek_v3", "671B"},
                                             {36, 4096, "qwen3", "8B"},
                                             {64, 5120, "qwen3", "32B"},
                                             {48, 2048, "qwen3", "30B-A3B"},
                                             {94, 4096, "qwen3", "235B-A22B"}}};

/// The name under which torchtitan has a family.
std::string_view family_name(std::string_view model_type) {
  if (model_type == "llama") return "llama3";
  if (model_type == "qwen3_moe") return "qwen3";
  if (model_type == "llama4_text") return "llama4";
  return model_type;
}

std::string model_section(const Transformer& model) {
  const auto known = std::find_if(kFlavors.begin(), kFlavors.end(), [&](const Flavor& f) {
    return f.model == family_name(model.model_type) && f.layers == model.layers &&
           f.hidden == model.hidden;
  });
  if (known != kFlavors.end()) {
    return fmt::format("\n[model]\nname = \"{}\"\nflavor = \"{}\"\n", known->model, known->flavor);
  }
  return fmt::format(
      "\n# No flavour of torchtitan's own has this shape: register one of this name.\n[model]\n"
      "name = \"{}\"\nflavor = \"{}\"\n",
      family_name(model.model_type), model.name);
}

/// Modules of each part of the model, as torchtitan names them.
std::string module_parts(const std::vector<int>& layers_per_chunk) {
  std::string out = "[";
  int layer = 0;
  for (std::size_t c = 0; c < layers_per_chunk.size(); ++c) {
    out += c == 0 ? "\n  [\"tok_embeddings\"" : "\n  [";
    bool first = c != 0;
    for (int i = 0; i < layers_per_chunk[c]; ++i, ++layer) {
      out += fmt::format("{}\"layers.{}\"", first ? "" : ", ", layer);
      first = false;
    }
    if (c + 1 == layers_per_chunk.size()) {
      out += first ? "\"norm\", \"output\"" : ", \"norm\", \"output\"";
    }
    out += "],";
  }
  return out + "\n]";
}

std::string pipeline_lines(const LaunchPlan& plan) {
  const Layout& l = plan.layout;
  if (l.pp == 1) return "";
  const auto schedule = std::find_if(kSchedules.begin(), kSchedules.end(),
                                     [&](const auto& s) { return s.first == l.schedule; });
  return fmt::format(
      "pipeline_parallel_schedule = \"{}\"\npipeline_parallel_microbatch_size = {}\n"
      "module_fqns_per_model_part = {}\n",
      schedule == kSchedules.end() ? "" : schedule->second, l.mbs,
      module_parts(layers_of_chunks(plan)));
}

std::string write(const LaunchPlan& plan) {
  const Layout& l = plan.layout;
  const Workload& workload = plan.problem.workload;
  const LaunchNodes where = launch_nodes(plan);
  const bool sharded = l.zero >= 2;
  const bool async_tp = l.overlap == Overlap::GradParamTp && l.sp;
  // A pipeline cuts the local batch into micro-batches; without one it is accumulated.
  const int local = l.pp > 1 ? workload.global_batch / l.dp : l.mbs;
  std::string out = comment_lines(plan);
  out += fmt::format(
      "# Run with torchrun --nproc-per-node {} --nnodes {} -m torchtitan.train "
      "--job.config_file THIS_FILE\n",
      where.per_node, where.nodes);
  out += model_section(plan.problem.model);
  out += "\n[optimizer]\nname = \"AdamW\"\n";
  out += fmt::format(
      "\n[training]\nlocal_batch_size = {}\nglobal_batch_size = {}\nseq_len = {}\n"
      "steps = 20\nmixed_precision_param = \"{}\"\n",
      local, workload.global_batch, workload.seq_len,
      workload.data_type == profiles::DataType::Fp32 ? "float32" : "bfloat16");
  out += fmt::format(
      "\n[parallelism]\ndata_parallel_replicate_degree = {}\n"
      "data_parallel_shard_degree = {}\nfsdp_reshard_after_forward = \"{}\"\n"
      "tensor_parallel_degree = {}\nenable_async_tensor_parallel = {}\n"
      "pipeline_parallel_degree = {}\n",
      sharded ? l.hsdp : l.dp, sharded ? l.dp / l.hsdp : 1, l.zero == 2 ? "never" : "always", l.tp,
      async_tp ? "true" : "false", l.pp);
  out += pipeline_lines(plan);
  out += fmt::format("context_parallel_degree = {}\n", l.cp);
  if (l.cp > 1) {
    out += fmt::format("context_parallel_rotate_method = \"{}\"\n",
                       l.cp_kind == ContextKind::AllGather ? "allgather" : "alltoall");
  }
  out += fmt::format("expert_parallel_degree = {}\n", l.ep);
  if (l.ep > 1) out += fmt::format("expert_tensor_parallel_degree = {}\n", l.expert_tp());
  out += fmt::format("\n[activation_checkpoint]\nmode = \"{}\"\n",
                     l.recompute == Recompute::Full        ? "full"
                     : l.recompute == Recompute::Selective ? "selective"
                                                           : "none");
  if (l.recompute == Recompute::Selective) out += "selective_ac_option = \"op\"\n";
  if (async_tp)
    out += "\n# Asynchronous tensor parallelism is the compiler's.\n[compile]\nenable = true\n";
  return out;
}

/// "section.key" -> value as written, which is JSON too, trailing commas of arrays aside.
std::map<std::string, std::string> read_toml(std::string_view text, const std::string& where) {
  std::map<std::string, std::string> out;
  std::string section;
  std::string key;
  int depth = 0;
  int number = 0;
  while (!text.empty()) {
    ++number;
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string line(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    line.erase(0, line.find_first_not_of(" \t\r"));
    if (depth == 0) {
      if (line.empty() || line.front() == '#') continue;
      if (line.front() == '[') {
        section = line.substr(1, line.find(']') - 1);
        continue;
      }
      const std::size_t equals = line.find(" = ");
      if (equals == std::string::npos) {
        throw InputError(fmt::format("{}:{}", where, number), "key = value", "'" + line + "'");
      }
      key = section + "." + line.substr(0, equals);
      line = line.substr(equals + 3);
    }
    for (const char c : line) depth += c == '[' ? 1 : c == ']' ? -1 : 0;
    out[key] += line;
  }
  for (auto& [name, value] : out) {
    for (std::size_t at = value.find(",]"); at != std::string::npos; at = value.find(",]")) {
      value.erase(at, 1);
    }
  }
  return out;
}

class Reader {
 public:
  Reader(std::string_view text, const std::string& where)
      : values_(read_toml(text, where)), where_(where) {}

  [[nodiscard]] JsonNode at(const std::string& key) const {
    const auto found = values_.find(key);
    if (found == values_.end()) throw InputError(where_, key, "it missing");
    return JsonNode::parse(found->second, where_ + ", " + key);
  }
  [[nodiscard]] bool has(const std::string& key) const { return values_.contains(key); }
  [[nodiscard]] int count(const std::string& key) const { return at(key).count(); }

 private:
  std::map<std::string, std::string> values_;
  std::string where_;
};

void read_pipeline(const Reader& toml, Layout& out) {
  out.mbs = toml.count("parallelism.pipeline_parallel_microbatch_size");
  const JsonNode schedule = toml.at("parallelism.pipeline_parallel_schedule");
  const auto known = std::find_if(kSchedules.begin(), kSchedules.end(),
                                  [&](const auto& s) { return s.second == schedule.string(); });
  if (known == kSchedules.end()) schedule.refuse("GPipe, 1F1B, Interleaved1F1B or ZBVZeroBubble");
  out.schedule = known->first;
  for (const JsonNode& part : toml.at("parallelism.module_fqns_per_model_part").elements()) {
    out.stages.push_back(0);
    for (const JsonNode& module : part.elements()) {
      if (module.string().starts_with("layers.")) ++out.stages.back();
    }
  }
  if (out.schedule == ScheduleKind::Interleaved) {
    out.vpp = static_cast<int>(out.stages.size()) / out.pp;
  }
}

Layout read(std::string_view text, const Problem&, const std::string& where) {
  const Reader toml(text, where);
  Layout out;
  out.tp = toml.count("parallelism.tensor_parallel_degree");
  out.sp = out.tp > 1;
  out.pp = toml.count("parallelism.pipeline_parallel_degree");
  out.cp = toml.count("parallelism.context_parallel_degree");
  const int replicas = toml.count("parallelism.data_parallel_replicate_degree");
  const int shards = toml.count("parallelism.data_parallel_shard_degree");
  out.dp = ranks_of(replicas, shards, where);
  if (shards > 1 || out.cp > 1) {
    const bool never = toml.at("parallelism.fsdp_reshard_after_forward").string() == "never";
    out.zero = never ? 2 : 3;
    out.hsdp = replicas;
    if (never) out.overlap = Overlap::GradParam;
  } else if (out.dp > 1) {
    out.overlap = Overlap::Grad;
  }
  if (toml.at("parallelism.enable_async_tensor_parallel").boolean()) {
    out.overlap = Overlap::GradParamTp;
  }
  if (out.cp > 1) {
    const std::string method = toml.at("parallelism.context_parallel_rotate_method").string();
    out.cp_kind = method == "allgather" ? ContextKind::AllGather : ContextKind::Ring;
  }
  out.ep = toml.count("parallelism.expert_parallel_degree");
  if (out.ep > 1) out.etp = toml.count("parallelism.expert_tensor_parallel_degree");
  out.mbs = toml.count("training.local_batch_size");
  if (out.pp > 1) read_pipeline(toml, out);
  const std::string mode = toml.at("activation_checkpoint.mode").string();
  out.recompute = mode == "full"        ? Recompute::Full
                  : mode == "selective" ? Recompute::Selective
                                        : Recompute::None;
  return out;
}

std::vector<std::string> keys(std::string_view text, const std::string& where) {
  std::vector<std::string> out;
  for (const auto& [key, value] : read_toml(text, where)) out.push_back(key);
  return out;
}

}  // namespace

const FrameworkFormat kTorchTitanFormat = {"torchtitan", write, read, keys};

}  // namespace meshplan::planner
