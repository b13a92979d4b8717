// Families with LayerNorm and an ungated MLP beside rotary positions: Falcon and Phi, whose
// attention and MLP read the same input, and StarCoder2, which differs from Llama in norms and MLP
// only.
#include "planner/model/config_keys.h"

namespace meshplan::planner {
namespace {

/// Shape and vocabulary; heads on as many kv heads.
Transformer layer_norm_shape(const ConfigKeys& keys, ConfigKeys::Names heads,
                             ConfigKeys::Names layers) {
  Transformer model;
  model.hidden = model.embedding_width = keys.needed({"hidden_size"}, ConfigKeys::kWidestHidden);
  model.heads = model.kv_heads = keys.needed(heads, ConfigKeys::kMostHeads);
  require_divides(keys, heads, model.heads, model.hidden, "hidden_size");
  model.head_dim = model.hidden / model.heads;
  model.layers = keys.needed(layers, ConfigKeys::kMostHeads);
  model.vocab = keys.needed({"vocab_size"});
  return model;
}

}  // namespace

Transformer read_falcon(const ConfigKeys& keys) {
  Transformer model =
      layer_norm_shape(keys, {"num_attention_heads", "n_head"}, {"num_hidden_layers", "n_layer"});
  const bool newer = keys.flag_or({"new_decoder_architecture"}, false);
  if (newer) {
    model.kv_heads =
        keys.count_or({"num_kv_heads", "n_head_kv"}, model.heads, ConfigKeys::kMostHeads);
    require_divides(keys, {"num_kv_heads", "n_head_kv"}, model.kv_heads, model.heads,
                    "num_attention_heads");
  } else if (keys.flag_or({"multi_query"}, true)) {
    model.kv_heads = 1;
  }
  model.ffn = keys.count_or({"ffn_hidden_size"}, 4 * model.hidden);
  model.max_positions =
      keys.count_or({"max_position_embeddings"}, 2048, ConfigKeys::kMostPositions);
  if (keys.flag_or({"alibi"}, false)) model.position = PositionKind::Alibi;
  model.activation = keys.activation({"activation"}, "gelu", false);
  const bool bias = keys.flag_or({"bias"}, false);
  model.qkv_bias = model.projection_bias = model.mlp_bias = bias;
  model.parallel_residual = newer || keys.flag_or({"parallel_attn"}, true);
  // The newer architecture has a norm for each of the two unless it is told otherwise.
  const int norms = keys.count_or({"num_ln_in_parallel_attn"}, newer ? 2 : 1, 2);
  model.shared_norm = model.parallel_residual && norms == 1;
  model.tied_embeddings = keys.flag_or({"tie_word_embeddings"}, true);
  model.dropout = keys.dropout_or({"hidden_dropout"}, 0);
  model.attention_dropout = keys.dropout_or({"attention_dropout"}, 0);
  return model;
}

Transformer read_phi(const ConfigKeys& keys) {
  Transformer model = layer_norm_shape(keys, {"num_attention_heads"}, {"num_hidden_layers"});
  model.kv_heads = keys.count_or({"num_key_value_heads"}, model.heads, ConfigKeys::kMostHeads);
  require_divides(keys, {"num_key_value_heads"}, model.kv_heads, model.heads,
                  "num_attention_heads");
  model.ffn = keys.needed({"intermediate_size"});
  model.max_positions =
      keys.count_or({"max_position_embeddings"}, 2048, ConfigKeys::kMostPositions);
  model.activation = keys.activation({"hidden_act"}, "gelu_new", false);
  model.qkv_bias = model.projection_bias = model.mlp_bias = model.head_bias = true;
  model.parallel_residual = model.shared_norm = true;
  model.tied_embeddings = keys.flag_or({"tie_word_embeddings"}, false);
  model.dropout = keys.dropout_or({"resid_pdrop"}, 0);
  model.attention_dropout = keys.dropout_or({"attention_dropout"}, 0);
  return model;
}

Transformer read_starcoder2(const ConfigKeys& keys) {
  Transformer model = layer_norm_shape(keys, {"num_attention_heads"}, {"num_hidden_layers"});
  model.kv_heads = keys.count_or({"num_key_value_heads"}, 2, ConfigKeys::kMostHeads);
  require_divides(keys, {"num_key_value_heads"}, model.kv_heads, model.heads,
                  "num_attention_heads");
  model.ffn = keys.needed({"intermediate_size"});
  model.max_positions =
      keys.count_or({"max_position_embeddings"}, 4096, ConfigKeys::kMostPositions);
  model.activation = keys.activation({"hidden_act"}, "gelu_pytorch_tanh", false);
  const bool bias = keys.flag_or({"use_bias"}, true);
  model.qkv_bias = model.projection_bias = model.mlp_bias = bias;
  model.sliding_window = keys.count({"sliding_window"}, ConfigKeys::kMostPositions);
  model.tied_embeddings = keys.flag_or({"tie_word_embeddings"}, true);
  model.dropout = keys.dropout_or({"residual_dropout"}, 0);
  model.attention_dropout = keys.dropout_or({"attention_dropout"}, 0);
  return model;
}

}  // namespace meshplan::planner
