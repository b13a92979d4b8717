#pragma once
#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "planner/model/transformer.h"
#include "profiles/json_node.h"

namespace meshplan::planner {

/// Typed reading of config.json keys. Where a family has several spellings of a key, the first that
/// is present counts. `most` bounds sizes so that the parameters of a layer fit 64 bits.
class ConfigKeys {
 public:
  using Names = std::initializer_list<std::string_view>;
  static constexpr int kWidestHidden = 1 << 20;   ///< the residual stream
  static constexpr int kWidest = 1 << 24;         ///< ffn, vocabulary, all heads together
  static constexpr int kMostHeads = 1 << 16;      ///< heads, experts, layers
  static constexpr int kMostPositions = 1 << 30;  ///< context length

  explicit ConfigKeys(const profiles::JsonNode& config) : config_(config) {}

  /// A whole number in [1, most]; refused when missing or null.
  [[nodiscard]] int needed(Names names, int most = kWidest) const;
  /// As needed, `fallback` when missing or null.
  [[nodiscard]] int count_or(Names names, int fallback, int most = kWidest) const;
  /// None when missing or null.
  [[nodiscard]] std::optional<int> count(Names names, int most = kWidest) const;
  [[nodiscard]] bool flag_or(Names names, bool fallback) const;
  /// A probability in [0, 1].
  [[nodiscard]] double dropout_or(Names names, double fallback) const;
  /// The activation that key names; `gated` families multiply it with an up projection.
  [[nodiscard]] Activation activation(Names names, std::string_view fallback, bool gated) const;

  [[nodiscard]] const profiles::JsonNode& config() const { return config_; }

 private:
  [[nodiscard]] std::optional<profiles::JsonNode> first(Names names) const;
  const profiles::JsonNode& config_;
};

/// Readers of the families; `model_type`, name and shared checks are config.cpp's.
Transformer read_gpt2(const ConfigKeys& keys);
Transformer read_gpt_neox(const ConfigKeys& keys);
Transformer read_opt(const ConfigKeys& keys);
Transformer read_bloom(const ConfigKeys& keys);
Transformer read_llama(const ConfigKeys& keys);
Transformer read_mistral(const ConfigKeys& keys);
Transformer read_qwen2(const ConfigKeys& keys);
Transformer read_qwen3(const ConfigKeys& keys);
Transformer read_gemma(const ConfigKeys& keys);
Transformer read_gemma2(const ConfigKeys& keys);
Transformer read_gemma3(const ConfigKeys& keys);
Transformer read_glm(const ConfigKeys& keys);
Transformer read_glm4(const ConfigKeys& keys);
Transformer read_olmo2(const ConfigKeys& keys);
Transformer read_phi3(const ConfigKeys& keys);
Transformer read_nemotron(const ConfigKeys& keys);
Transformer read_falcon(const ConfigKeys& keys);
Transformer read_phi(const ConfigKeys& keys);
Transformer read_starcoder2(const ConfigKeys& keys);
Transformer read_mixtral(const ConfigKeys& keys);
Transformer read_olmoe(const ConfigKeys& keys);
Transformer read_gpt_oss(const ConfigKeys& keys);
Transformer read_llama4(const ConfigKeys& keys);
Transformer read_glm4_moe(const ConfigKeys& keys);
Transformer read_qwen2_moe(const ConfigKeys& keys);
Transformer read_qwen3_moe(const ConfigKeys& keys);
Transformer read_deepseek_v2(const ConfigKeys& keys);
Transformer read_deepseek_v3(const ConfigKeys& keys);

/// Refuses, at the key, heads that do not divide.
void require_divides(const ConfigKeys& keys, ConfigKeys::Names names, int divisor, int whole,
                     std::string_view what);
/// Layers that see every key in a model whose others see a window: those that `layer_types` calls
/// full_attention, or without it every `period`-th.
std::vector<int> full_attention_layers(const ConfigKeys& keys, int layers, int period);
/// The shape that llama and its descendants share: RMSNorm, rotary, gated MLP, no biases.
struct LlamaDefaults {
  int heads = 0;     ///< 0: needed
  int kv_heads = 0;  ///< 0: as many as heads
  int head_dim = 0;  ///< 0: hidden / heads
  std::string_view activation = "silu";
  bool tied = false;
  int max_positions = 2048;
  int vocab = 0;  ///< 0: needed
};
Transformer read_llama_shape(const ConfigKeys& keys, const LlamaDefaults& defaults,
                             bool dense_mlp = true);

}  // namespace meshplan::planner
