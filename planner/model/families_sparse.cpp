// Mixture-of-experts families.
#include <algorithm>

#include "planner/model/config_keys.h"

namespace meshplan::planner {
namespace {

/// Refuses more experts per token than there are.
void read_routing(const ConfigKeys& keys, ConfigKeys::Names count, Experts& experts) {
  experts.count = keys.needed(count, ConfigKeys::kMostHeads);
  experts.per_token = keys.needed({"num_experts_per_tok"}, ConfigKeys::kMostHeads);
  if (experts.per_token > experts.count) {
    keys.config()
        .at("num_experts_per_tok")
        .refuse("at most the " + std::to_string(experts.count) + " routed experts");
  }
}

/// n_shared_experts, each as wide as a routed one.
void read_shared_experts(const ConfigKeys& keys, Experts& experts) {
  if (const auto shared = keys.config().find_value("n_shared_experts")) {
    const auto count = shared->integer(0, ConfigKeys::kWidest / experts.width);
    experts.shared_width = static_cast<int>(count) * experts.width;
  }
}

/// decoder_sparse_step and mlp_only_layers of Qwen; a dense layer anywhere needs its width.
void read_qwen_placement(const ConfigKeys& keys, Transformer& model) {
  Experts& experts = *model.experts;
  experts.every = keys.count_or({"decoder_sparse_step"}, 1, ConfigKeys::kMostHeads);
  if (const auto dense = keys.config().find_value("mlp_only_layers")) {
    for (const auto& layer : dense->elements()) {
      experts.dense_layers.push_back(static_cast<int>(layer.integer(0, model.layers - 1)));
    }
    std::sort(experts.dense_layers.begin(), experts.dense_layers.end());
  }
  const bool some_dense = experts.every > 1 || !experts.dense_layers.empty();
  if (some_dense) model.ffn = keys.needed({"intermediate_size"});
}

Transformer read_deepseek(const ConfigKeys& keys) {
  constexpr int kMost = ConfigKeys::kMostHeads;
  Transformer model;
  model.normalization = Normalization::RmsNorm;
  model.hidden = model.embedding_width = keys.needed({"hidden_size"}, ConfigKeys::kWidestHidden);
  model.layers = keys.needed({"num_hidden_layers"}, kMost);
  model.heads = keys.needed({"num_attention_heads"}, kMost);
  model.kv_heads = model.heads;  // every head has its own keys, made from one latent
  LatentAttention latent;
  latent.query_rank = keys.count_or({"q_lora_rank"}, 0);
  latent.key_value_rank = keys.needed({"kv_lora_rank"});
  latent.nope_head_dim = keys.needed({"qk_nope_head_dim"}, kMost);
  latent.rope_head_dim = keys.needed({"qk_rope_head_dim"}, kMost);
  latent.value_head_dim = keys.needed({"v_head_dim"}, kMost);
  model.latent_attention = latent;
  model.head_dim = latent.nope_head_dim + latent.rope_head_dim;
  model.vocab = keys.needed({"vocab_size"});
  model.max_positions =
      keys.count_or({"max_position_embeddings"}, 2048, ConfigKeys::kMostPositions);
  model.activation = keys.activation({"hidden_act"}, "silu", true);
  model.tied_embeddings = keys.flag_or({"tie_word_embeddings"}, false);
  // Here the bias is on the down projections of the latents and on the output.
  model.projection_bias = keys.flag_or({"attention_bias"}, false);
  model.attention_dropout = keys.dropout_or({"attention_dropout"}, 0);

  if (!keys.config().find_value("n_routed_experts")) {
    model.ffn = keys.needed({"intermediate_size"});
    return model;
  }
  Experts experts;
  read_routing(keys, {"n_routed_experts"}, experts);
  experts.width = keys.needed({"moe_intermediate_size"});
  read_shared_experts(keys, experts);
  if (const auto dense = keys.config().find_value("first_k_dense_replace")) {
    experts.first_dense_layers = static_cast<int>(dense->integer(0, kMost));
  }
  const int frequency = keys.count_or({"moe_layer_freq"}, 1, kMost);
  for (int layer = experts.first_dense_layers; layer < model.layers; ++layer) {
    if (layer % frequency != 0) experts.dense_layers.push_back(layer);
  }
  const bool some_dense = experts.first_dense_layers > 0 || !experts.dense_layers.empty();
  if (some_dense) model.ffn = keys.needed({"intermediate_size"});
  model.experts = experts;
  return model;
}

}  // namespace

Transformer read_mixtral(const ConfigKeys& keys) {
  Transformer model =
      read_llama_shape(keys, {.kv_heads = 8, .max_positions = 131072}, /*dense_mlp=*/false);
  Experts experts;
  read_routing(keys, {"num_local_experts", "num_experts"}, experts);
  experts.width = keys.needed({"intermediate_size"});
  model.experts = experts;
  model.sliding_window = keys.count({"sliding_window"}, ConfigKeys::kMostPositions);
  model.rotary_base = 1e6;
  return model;
}

Transformer read_qwen2_moe(const ConfigKeys& keys) {
  Transformer model = read_llama_shape(keys, {.max_positions = 32768}, /*dense_mlp=*/false);
  model.qkv_bias = keys.flag_or({"qkv_bias"}, true);
  Experts experts;
  read_routing(keys, {"num_experts"}, experts);
  experts.width = keys.needed({"moe_intermediate_size"});
  experts.shared_width = keys.needed({"shared_expert_intermediate_size"});
  experts.shared_gate = true;
  model.experts = experts;
  read_qwen_placement(keys, model);
  return model;
}

Transformer read_qwen3_moe(const ConfigKeys& keys) {
  Transformer model =
      read_llama_shape(keys, {.kv_heads = 4, .max_positions = 32768}, /*dense_mlp=*/false);
  model.qkv_bias = model.projection_bias = keys.flag_or({"attention_bias"}, false);
  model.query_key_norm = true;
  Experts experts;
  read_routing(keys, {"num_experts", "num_local_experts"}, experts);
  experts.width = keys.needed({"moe_intermediate_size"});
  model.experts = experts;
  read_qwen_placement(keys, model);
  return model;
}

Transformer read_deepseek_v2(const ConfigKeys& keys) { return read_deepseek(keys); }

Transformer read_deepseek_v3(const ConfigKeys& keys) {
  Transformer model = read_deepseek(keys);
  if (model.experts) model.experts->router_bias = true;
  return model;
}

Transformer read_olmoe(const ConfigKeys& keys) {
  Transformer model = read_llama_shape(keys, {.vocab = 50304}, /*dense_mlp=*/false);
  model.qkv_bias = model.projection_bias = keys.flag_or({"attention_bias"}, false);
  model.query_key_norm = model.wide_query_key_norm = true;
  Experts experts;
  read_routing(keys, {"num_experts"}, experts);
  experts.width = keys.needed({"intermediate_size"});
  model.experts = experts;
  return model;
}

Transformer read_gpt_oss(const ConfigKeys& keys) {
  Transformer model = read_llama_shape(
      keys, {.kv_heads = 8, .head_dim = 64, .max_positions = 131072}, /*dense_mlp=*/false);
  model.qkv_bias = model.projection_bias = keys.flag_or({"attention_bias"}, true);
  model.attention_sinks = true;
  model.rotary_base = 150000;
  model.sliding_window = keys.count_or({"sliding_window"}, 128, ConfigKeys::kMostPositions);
  model.full_attention_layers = full_attention_layers(keys, model.layers, 2);
  Experts experts;
  read_routing(keys, {"num_local_experts", "num_experts"}, experts);
  experts.width = keys.needed({"intermediate_size"});
  experts.bias = true;
  model.experts = experts;
  return model;
}

Transformer read_llama4(const ConfigKeys& keys) {
  Transformer model =
      read_llama_shape(keys, {.kv_heads = 8, .max_positions = 131072}, /*dense_mlp=*/false);
  model.qkv_bias = model.projection_bias = keys.flag_or({"attention_bias"}, false);
  model.rotary_base = 500000;
  // Three of four layers attend within chunks, which are priced as windows of their length.
  model.sliding_window = keys.count({"attention_chunk_size"}, ConfigKeys::kMostPositions);
  if (model.sliding_window)
    model.full_attention_layers = full_attention_layers(keys, model.layers, 4);
  Experts experts;
  read_routing(keys, {"num_local_experts"}, experts);
  experts.width = experts.shared_width = keys.needed({"intermediate_size"});
  experts.every = keys.count_or({"interleave_moe_layer_step"}, 1, ConfigKeys::kMostHeads);
  if (experts.every > 1) model.ffn = keys.needed({"intermediate_size_mlp"});
  model.experts = experts;
  return model;
}

Transformer read_glm4_moe(const ConfigKeys& keys) {
  constexpr int kMost = ConfigKeys::kMostHeads;
  Transformer model = read_llama_shape(keys, {.max_positions = 131072}, /*dense_mlp=*/false);
  model.qkv_bias = keys.flag_or({"attention_bias"}, false);
  model.query_key_norm = keys.flag_or({"use_qk_norm"}, false);
  Experts experts;
  read_routing(keys, {"n_routed_experts"}, experts);
  experts.width = keys.needed({"moe_intermediate_size"});
  experts.router_bias = true;
  read_shared_experts(keys, experts);
  experts.first_dense_layers = keys.count_or({"first_k_dense_replace"}, 1, kMost);
  model.ffn = keys.needed({"intermediate_size"});
  model.experts = experts;
  return model;
}

}  // namespace meshplan::planner
