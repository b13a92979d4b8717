#include "planner/model/config.h"

#include <array>
#include <filesystem>
#include <string_view>

#include "planner/model/config_keys.h"
#include "planner/model/model_graphs.h"
#include "planner/model/parameters.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

namespace fs = std::filesystem;
using profiles::InputError;
using profiles::JsonNode;

struct Family {
  std::string_view model_type;
  Transformer (*read)(const ConfigKeys&);
};

constexpr std::array kFamilies = {
    Family{"bloom", read_bloom},
    Family{"deepseek_v2", read_deepseek_v2},
    Family{"deepseek_v3", read_deepseek_v3},
    Family{"falcon", read_falcon},
    Family{"gemma", read_gemma},
    Family{"gemma2", read_gemma2},
    Family{"gemma3_text", read_gemma3},
    Family{"glm", read_glm},
    Family{"glm4", read_glm4},
    Family{"glm4_moe", read_glm4_moe},
    Family{"gpt2", read_gpt2},
    Family{"gpt_neox", read_gpt_neox},
    Family{"gpt_oss", read_gpt_oss},
    Family{"granite", read_llama},
    Family{"kimi_k2", read_deepseek_v3},
    Family{"llama", read_llama},
    Family{"llama4_text", read_llama4},
    Family{"mistral", read_mistral},
    Family{"mixtral", read_mixtral},
    Family{"nemotron", read_nemotron},
    Family{"olmo2", read_olmo2},
    Family{"olmoe", read_olmoe},
    Family{"opt", read_opt},
    Family{"phi", read_phi},
    Family{"phi3", read_phi3},
    Family{"qwen2", read_qwen2},
    Family{"qwen2_moe", read_qwen2_moe},
    Family{"qwen3", read_qwen3},
    Family{"qwen3_moe", read_qwen3_moe},
    Family{"starcoder2", read_starcoder2},
};

/// rope_theta, under the names that files give it; `fallback` where none does.
double rotary_base(const JsonNode& config, double fallback) {
  auto found = config.find_value("rope_theta");
  if (!found) found = config.find_value("rotary_emb_base");
  const auto nested = config.find_value("rope_parameters");
  if (!found && nested && nested->is_object()) found = nested->find_value("rope_theta");
  if (!found) return fallback;
  const double base = found->number();
  if (!(base >= 1 && base <= 1e12)) found->refuse("a number from 1 to 1e12");
  return base;
}

/// Bounds that hold across keys: widths stay ints, counts exact in 64 bits.
void require_possible(const JsonNode& config, const Transformer& model) {
  const auto product = [](int a, int b) { return static_cast<double>(a) * b; };
  const auto require_width = [&](const std::string& what, double width) {
    if (width <= ConfigKeys::kWidest) return;
    throw InputError(config.where(), what + " of at most " + std::to_string(ConfigKeys::kWidest),
                     std::to_string(static_cast<std::int64_t>(width)));
  };
  require_width("heads times head_dim", product(model.heads, model.head_dim));
  require_width("heads times the head_dim of values", product(model.heads, model.value_head_dim()));
  const ModelGraphs graphs = model_graphs(model, true, profiles::DataType::Bf16);
  const auto size = [](const OperatorGraph& graph) {
    return static_cast<double>(parameter_count(graph));
  };
  const double dense = size(graphs.dense_layer);
  const double sparse = size(graphs.sparse_layer);
  double parameters = size(graphs.embedding) + size(graphs.head);
  for (int layer = 0; layer < model.layers; ++layer) {
    parameters += model.sparse(layer) ? sparse : dense;
  }
  constexpr double kMostParameters = 1e15;
  if (parameters > kMostParameters) {
    throw InputError(config.where(), "a model of at most 10^15 parameters", "a larger one");
  }
}

}  // namespace

std::vector<std::string> model_types() {
  std::vector<std::string> names;
  for (const Family& family : kFamilies) names.emplace_back(family.model_type);
  return names;
}

Transformer read_config(const JsonNode& config, std::string name) {
  const JsonNode type = config.at("model_type");
  const std::string model_type = type.string();
  for (const Family& family : kFamilies) {
    if (family.model_type != model_type) continue;
    Transformer model = family.read(ConfigKeys(config));
    model.name = std::move(name);
    model.model_type = model_type;
    model.rotary_base = rotary_base(config, model.rotary_base);
    require_possible(config, model);
    return model;
  }
  // A multimodal model: what it adds to its language model is not described here.
  if (const auto language = config.find_value("text_config"); language && language->is_object()) {
    return read_config(*language, std::move(name));
  }
  std::string known;
  const auto types = model_types();
  for (const std::string& each : types) known += (known.empty() ? "" : ", ") + each;
  type.refuse_name("a known model_type (" + known + ")", types);
}

NamedConfig find_config(const std::string& preset_or_path, const profiles::DataFiles& files) {
  const bool looks_like_path =
      preset_or_path.find('/') != std::string::npos || preset_or_path.ends_with(".json");
  if (!looks_like_path) {
    if (auto preset = files.find("models/" + preset_or_path)) return {preset_or_path, *preset};
  }
  std::error_code ignored;
  fs::path path = preset_or_path;
  if (fs::is_directory(path, ignored)) {
    path /= "config.json";
  } else if (!looks_like_path && !fs::exists(path, ignored)) {
    return {preset_or_path, files.at("models", preset_or_path, "model")};  // refuses
  }
  // A config.json is named by its folder, any other file by its stem.
  const fs::path named = fs::absolute(path).lexically_normal();
  const std::string name = named.filename() == "config.json"
                               ? named.parent_path().filename().string()
                               : named.stem().string();
  return {name, JsonNode::read_file(path.string())};
}

Transformer load_model(const std::string& preset_or_path, const profiles::DataFiles& files) {
  const NamedConfig found = find_config(preset_or_path, files);
  return read_config(found.config, found.name);
}

}  // namespace meshplan::planner
