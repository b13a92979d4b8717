// GPT-2 and its relatives: LayerNorm with bias, biases everywhere, an ungated MLP.
#include "planner/model/config_keys.h"

namespace meshplan::planner {
namespace {

Transformer biased_shape(int hidden, int heads, int layers) {
  Transformer model;
  model.hidden = model.embedding_width = hidden;
  model.heads = model.kv_heads = heads;
  model.layers = layers;
  model.head_dim = hidden / heads;
  model.qkv_bias = model.projection_bias = model.mlp_bias = true;
  return model;
}

}  // namespace

Transformer read_gpt2(const ConfigKeys& keys) {
  const int hidden = keys.needed({"n_embd", "hidden_size"}, ConfigKeys::kWidestHidden);
  const int heads = keys.needed({"n_head", "num_attention_heads"}, ConfigKeys::kMostHeads);
  require_divides(keys, {"n_head", "num_attention_heads"}, heads, hidden, "n_embd");
  Transformer model = biased_shape(
      hidden, heads, keys.needed({"n_layer", "num_hidden_layers"}, ConfigKeys::kMostHeads));
  model.ffn = keys.count_or({"n_inner"}, 4 * hidden);
  model.vocab = keys.needed({"vocab_size"});
  model.max_positions =
      keys.needed({"n_positions", "max_position_embeddings", "n_ctx"}, ConfigKeys::kMostPositions);
  model.learned_positions = model.max_positions;
  model.position = PositionKind::Learned;
  model.activation = keys.activation({"activation_function"}, "gelu_new", false);
  model.tied_embeddings = keys.flag_or({"tie_word_embeddings"}, true);
  model.dropout = keys.dropout_or({"resid_pdrop"}, 0.1);
  model.attention_dropout = keys.dropout_or({"attn_pdrop"}, 0.1);
  return model;
}

Transformer read_gpt_neox(const ConfigKeys& keys) {
  const int hidden = keys.needed({"hidden_size"}, ConfigKeys::kWidestHidden);
  const int heads = keys.needed({"num_attention_heads"}, ConfigKeys::kMostHeads);
  require_divides(keys, {"num_attention_heads"}, heads, hidden, "hidden_size");
  Transformer model =
      biased_shape(hidden, heads, keys.needed({"num_hidden_layers"}, ConfigKeys::kMostHeads));
  model.ffn = keys.needed({"intermediate_size"});
  model.vocab = keys.needed({"vocab_size"});
  model.max_positions =
      keys.count_or({"max_position_embeddings"}, 2048, ConfigKeys::kMostPositions);
  model.activation = keys.activation({"hidden_act"}, "gelu", false);
  model.qkv_bias = model.projection_bias = keys.flag_or({"attention_bias"}, true);
  model.parallel_residual = keys.flag_or({"use_parallel_residual"}, true);
  model.tied_embeddings = keys.flag_or({"tie_word_embeddings"}, false);
  model.dropout = keys.dropout_or({"hidden_dropout"}, 0);
  model.attention_dropout = keys.dropout_or({"attention_dropout"}, 0);
  return model;
}

Transformer read_opt(const ConfigKeys& keys) {
  const int hidden = keys.needed({"hidden_size"}, ConfigKeys::kWidestHidden);
  const int heads = keys.needed({"num_attention_heads"}, ConfigKeys::kMostHeads);
  require_divides(keys, {"num_attention_heads"}, heads, hidden, "hidden_size");
  Transformer model =
      biased_shape(hidden, heads, keys.needed({"num_hidden_layers"}, ConfigKeys::kMostHeads));
  model.ffn = keys.needed({"ffn_dim"});
  model.vocab = keys.needed({"vocab_size"});
  model.embedding_width = keys.count_or({"word_embed_proj_dim"}, hidden);
  model.max_positions =
      keys.count_or({"max_position_embeddings"}, 2048, ConfigKeys::kMostPositions);
  model.learned_positions = model.max_positions + 2;  // the table starts at padding index 1
  model.position = PositionKind::Learned;
  model.activation = keys.activation({"activation_function"}, "relu", false);
  const bool bias = keys.flag_or({"enable_bias"}, true);
  model.qkv_bias = model.projection_bias = model.mlp_bias = bias;
  model.norm_parameters = keys.flag_or({"layer_norm_elementwise_affine"}, true);
  model.final_norm = keys.flag_or({"do_layer_norm_before"}, true) &&
                     !keys.flag_or({"_remove_final_layer_norm"}, false);
  model.tied_embeddings = keys.flag_or({"tie_word_embeddings"}, true);
  model.dropout = keys.dropout_or({"dropout"}, 0.1);
  model.attention_dropout = keys.dropout_or({"attention_dropout"}, 0);
  return model;
}

Transformer read_bloom(const ConfigKeys& keys) {
  const int hidden = keys.needed({"n_embed", "hidden_size"}, ConfigKeys::kWidestHidden);
  const int heads = keys.needed({"n_head", "num_attention_heads"}, ConfigKeys::kMostHeads);
  require_divides(keys, {"n_head", "num_attention_heads"}, heads, hidden, "hidden_size");
  Transformer model = biased_shape(
      hidden, heads, keys.needed({"n_layer", "num_hidden_layers"}, ConfigKeys::kMostHeads));
  model.ffn = 4 * hidden;
  model.vocab = keys.needed({"vocab_size"});
  model.max_positions = keys.count_or({"seq_length"}, 2048, ConfigKeys::kMostPositions);
  model.position = PositionKind::Alibi;
  model.embedding_norm = true;
  model.tied_embeddings = keys.flag_or({"tie_word_embeddings"}, true);
  model.dropout = keys.dropout_or({"hidden_dropout"}, 0);
  model.attention_dropout = keys.dropout_or({"attention_dropout"}, 0);
  return model;
}

}  // namespace meshplan::planner
