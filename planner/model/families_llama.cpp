// Llama and its dense descendants: rotary positions, grouped-query attention, a gated MLP.
#include <algorithm>

#include "planner/model/config_keys.h"
#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

/// Qwen2 and Qwen3 state a window but use it only when told to, above max_window_layers.
void read_qwen_window(const ConfigKeys& keys, Transformer& model) {
  if (!keys.flag_or({"use_sliding_window"}, false)) return;
  model.sliding_window = keys.count_or({"sliding_window"}, 4096, ConfigKeys::kMostPositions);
  if (keys.config().find_value("layer_types")) {
    model.full_attention_layers = full_attention_layers(keys, model.layers, 1);
    return;
  }
  std::int64_t first = 28;
  if (const auto stated = keys.config().find_value("max_window_layers")) {
    first = stated->integer(0, ConfigKeys::kMostHeads);
  }
  for (int layer = 0; layer < std::min<std::int64_t>(first, model.layers); ++layer) {
    model.full_attention_layers.push_back(layer);
  }
}

}  // namespace

Transformer read_llama_shape(const ConfigKeys& keys, const LlamaDefaults& defaults,
                             bool dense_mlp) {
  Transformer model;
  model.normalization = Normalization::RmsNorm;
  model.hidden = model.embedding_width = keys.needed({"hidden_size"}, ConfigKeys::kWidestHidden);
  model.layers = keys.needed({"num_hidden_layers"}, ConfigKeys::kMostHeads);
  model.heads = defaults.heads > 0
                    ? keys.count_or({"num_attention_heads"}, defaults.heads, ConfigKeys::kMostHeads)
                    : keys.needed({"num_attention_heads"}, ConfigKeys::kMostHeads);
  model.kv_heads =
      keys.count_or({"num_key_value_heads"}, defaults.kv_heads ? defaults.kv_heads : model.heads,
                    ConfigKeys::kMostHeads);
  require_divides(keys, {"num_key_value_heads"}, model.kv_heads, model.heads,
                  "num_attention_heads");
  const auto head_dim = keys.count({"head_dim"});
  if (!head_dim && !defaults.head_dim) {
    require_divides(keys, {"num_attention_heads"}, model.heads, model.hidden, "hidden_size");
  }
  model.head_dim =
      head_dim.value_or(defaults.head_dim ? defaults.head_dim : model.hidden / model.heads);
  if (dense_mlp) model.ffn = keys.needed({"intermediate_size"});
  model.vocab = defaults.vocab > 0 ? keys.count_or({"vocab_size"}, defaults.vocab)
                                   : keys.needed({"vocab_size"});
  model.max_positions = keys.count_or({"max_position_embeddings"}, defaults.max_positions,
                                      ConfigKeys::kMostPositions);
  model.activation =
      keys.activation({"hidden_activation", "hidden_act"}, defaults.activation, true);
  model.tied_embeddings = keys.flag_or({"tie_word_embeddings"}, defaults.tied);
  model.attention_dropout = keys.dropout_or({"attention_dropout"}, 0);
  return model;
}

Transformer read_llama(const ConfigKeys& keys) {
  Transformer model = read_llama_shape(keys, {});
  model.qkv_bias = model.projection_bias = keys.flag_or({"attention_bias"}, false);
  model.mlp_bias = keys.flag_or({"mlp_bias"}, false);
  return model;
}

Transformer read_mistral(const ConfigKeys& keys) {
  Transformer model = read_llama_shape(keys, {.kv_heads = 8, .max_positions = 131072});
  // Absent: the family's 4096. Null: no window.
  model.sliding_window = keys.config().find("sliding_window")
                             ? keys.count({"sliding_window"}, ConfigKeys::kMostPositions)
                             : 4096;
  return model;
}

Transformer read_qwen2(const ConfigKeys& keys) {
  Transformer model = read_llama_shape(keys, {.max_positions = 32768});
  model.qkv_bias = true;
  read_qwen_window(keys, model);
  return model;
}

Transformer read_qwen3(const ConfigKeys& keys) {
  Transformer model = read_llama_shape(keys, {.head_dim = 128, .max_positions = 32768});
  model.qkv_bias = model.projection_bias = keys.flag_or({"attention_bias"}, false);
  model.query_key_norm = true;
  read_qwen_window(keys, model);
  return model;
}

Transformer read_glm(const ConfigKeys& keys) {
  Transformer model = read_llama_shape(keys, {.max_positions = 131072});
  model.qkv_bias = keys.flag_or({"attention_bias"}, false);
  return model;
}

Transformer read_glm4(const ConfigKeys& keys) {
  Transformer model = read_glm(keys);
  model.post_norms = true;
  return model;
}

Transformer read_olmo2(const ConfigKeys& keys) {
  // Its two norms a layer are of what attention and MLP put out, not of what they read.
  Transformer model = read_llama_shape(keys, {.vocab = 50304});
  model.qkv_bias = model.projection_bias = keys.flag_or({"attention_bias"}, false);
  model.query_key_norm = model.wide_query_key_norm = true;
  return model;
}

Transformer read_phi3(const ConfigKeys& keys) {
  // qkv and gate/up are fused matrices in its checkpoints: the same parameters.
  Transformer model = read_llama_shape(keys, {.max_positions = 4096});
  model.sliding_window = keys.count({"sliding_window"}, ConfigKeys::kMostPositions);
  model.dropout = keys.dropout_or({"resid_pdrop"}, 0);
  return model;
}

Transformer read_nemotron(const ConfigKeys& keys) {
  // LayerNorm1P (weight stored minus one, with bias) and an ungated squared ReLU.
  Transformer model;
  const int hidden = keys.needed({"hidden_size"}, ConfigKeys::kWidestHidden);
  model.hidden = model.embedding_width = hidden;
  model.layers = keys.needed({"num_hidden_layers"}, ConfigKeys::kMostHeads);
  model.heads = keys.needed({"num_attention_heads"}, ConfigKeys::kMostHeads);
  model.kv_heads = keys.count_or({"num_key_value_heads"}, model.heads, ConfigKeys::kMostHeads);
  require_divides(keys, {"num_key_value_heads"}, model.kv_heads, model.heads,
                  "num_attention_heads");
  const auto head_dim = keys.count({"head_dim"});
  if (!head_dim) require_divides(keys, {"num_attention_heads"}, model.heads, hidden, "hidden_size");
  model.head_dim = head_dim.value_or(hidden / model.heads);
  model.ffn = keys.needed({"intermediate_size"});
  model.vocab = keys.needed({"vocab_size"});
  model.max_positions =
      keys.count_or({"max_position_embeddings"}, 4096, ConfigKeys::kMostPositions);
  model.activation = keys.activation({"hidden_act"}, "relu2", false);
  model.qkv_bias = model.projection_bias = keys.flag_or({"attention_bias"}, false);
  model.mlp_bias = keys.flag_or({"mlp_bias"}, false);
  model.tied_embeddings = keys.flag_or({"tie_word_embeddings"}, false);
  model.attention_dropout = keys.dropout_or({"attention_dropout"}, 0);
  return model;
}

}  // namespace meshplan::planner
