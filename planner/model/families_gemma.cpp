// Gemma: wide heads, GeGLU, tied embeddings; from the second on norms on both sides of attention
// and MLP, and windows in most layers.
#include "planner/model/config_keys.h"

namespace meshplan::planner {

Transformer read_gemma(const ConfigKeys& keys) {
  Transformer model = read_llama_shape(
      keys,
      {.head_dim = 256, .activation = "gelu_pytorch_tanh", .tied = true, .max_positions = 8192});
  model.qkv_bias = model.projection_bias = keys.flag_or({"attention_bias"}, false);
  return model;
}

Transformer read_gemma2(const ConfigKeys& keys) {
  Transformer model = read_gemma(keys);
  model.post_norms = true;
  model.sliding_window = keys.count_or({"sliding_window"}, 4096, ConfigKeys::kMostPositions);
  model.full_attention_layers = full_attention_layers(keys, model.layers, 2);
  return model;
}

Transformer read_gemma3(const ConfigKeys& keys) {
  // The multimodal files state only what differs from these defaults.
  Transformer model = read_llama_shape(keys, {.heads = 8,
                                              .kv_heads = 4,
                                              .head_dim = 256,
                                              .activation = "gelu_pytorch_tanh",
                                              .tied = true,
                                              .max_positions = 131072,
                                              .vocab = 262208});
  model.qkv_bias = model.projection_bias = keys.flag_or({"attention_bias"}, false);
  model.query_key_norm = model.post_norms = true;
  model.rotary_base = 1e6;
  model.sliding_window = keys.count_or({"sliding_window"}, 4096, ConfigKeys::kMostPositions);
  const int period = keys.count_or({"sliding_window_pattern"}, 6, ConfigKeys::kMostHeads);
  model.full_attention_layers = full_attention_layers(keys, model.layers, period);
  return model;
}

}  // namespace meshplan::planner
