#pragma once
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace meshplan::planner {

enum class Activation { Gelu, Relu, SquaredRelu, SwiGlu, GeGlu };
enum class Normalization { LayerNorm, RmsNorm };
enum class PositionKind { Learned, Rotary, Alibi, None };

/// Routed experts of a mixture-of-experts layer.
struct Experts {
  int count = 0;                  ///< routed experts per layer
  int per_token = 0;              ///< top-k
  int width = 0;                  ///< intermediate width of one routed expert
  int shared_width = 0;           ///< total width of the shared experts, 0 if none
  bool shared_gate = false;       ///< the shared expert is scaled by a learned gate (Qwen2-MoE)
  bool router_bias = false;       ///< per-expert score correction (DeepSeek-V3)
  bool bias = false;              ///< of the router's and the experts' matrices (gpt-oss)
  int first_dense_layers = 0;     ///< leading layers with a dense MLP instead
  int every = 1;                  ///< one layer in `every` is sparse, after the first dense ones
  std::vector<int> dense_layers;  ///< further dense layers, by index (Qwen mlp_only_layers)
};

/// Multi-head latent attention (DeepSeek V2, V3): widths per head and of the latents.
struct LatentAttention {
  int query_rank = 0;  ///< q_lora_rank; 0: queries are projected directly
  int key_value_rank = 0;
  int nope_head_dim = 0, rope_head_dim = 0, value_head_dim = 0;
};

/// A decoder-only transformer: what a Hugging Face config.json says, in one vocabulary for every
/// family. Widths count elements. read_config (config.h) makes only values whose parts agree:
/// every width positive, heads a multiple of kv_heads, at most 10^15 parameters.
struct Transformer {
  std::string name;        ///< preset or file stem
  std::string model_type;  ///< as config.json names the family
  int layers = 0, hidden = 0, heads = 0, kv_heads = 0;
  int head_dim = 0;  ///< of queries and keys; values too, without latent attention
  int ffn = 0;       ///< width of the dense MLP; 0 if every layer routes to experts
  int vocab = 0;
  int max_positions = 0;
  int learned_positions = 0;  ///< rows of the position table (OPT: 2 more than max_positions)
  int embedding_width = 0;    ///< OPT-350m projects from a narrower embedding; else = hidden
  Activation activation = Activation::Gelu;
  Normalization normalization = Normalization::LayerNorm;
  PositionKind position = PositionKind::Rotary;
  bool tied_embeddings = false;
  bool qkv_bias = false, projection_bias = false, mlp_bias = false, head_bias = false;
  bool norm_parameters = true;     ///< norms have learned weights (OPT can switch them off)
  bool parallel_residual = false;  ///< GPT-NeoX: attention and MLP read the same input
  bool shared_norm = false;        ///< of parallel layers: one norm for both (Falcon-7B, Phi)
  bool post_norms = false;         ///< further norms of what both put out (Gemma 2, GLM-4)
  bool embedding_norm = false;     ///< BLOOM
  bool final_norm = true;
  bool query_key_norm = false;       ///< Qwen3: RMSNorm over head_dim of Q and K
  bool wide_query_key_norm = false;  ///< OLMo 2: over all heads together instead
  bool attention_sinks = false;      ///< gpt-oss: a learned logit a head in the softmax
  double rotary_base = 10000;        ///< rope_theta
  double dropout = 0;            ///< of the embedding and of what is added to the residual stream
  double attention_dropout = 0;  ///< of the attention probabilities
  std::optional<int> sliding_window;
  std::vector<int> full_attention_layers;  ///< that attend to everything all the same, ascending
  std::optional<Experts> experts;
  std::optional<LatentAttention> latent_attention;

  /// SwiGLU and GeGLU have gate and up projections.
  [[nodiscard]] bool gated() const {
    return activation == Activation::SwiGlu || activation == Activation::GeGlu;
  }
  /// Whether layer `layer` (0-based) routes to experts.
  [[nodiscard]] bool sparse(int layer) const {
    return experts && layer >= experts->first_dense_layers && (layer + 1) % experts->every == 0 &&
           !std::binary_search(experts->dense_layers.begin(), experts->dense_layers.end(), layer);
  }
  /// Whether layer `layer` (0-based) sees a window of the keys only.
  [[nodiscard]] bool windowed(int layer) const {
    return sliding_window &&
           !std::binary_search(full_attention_layers.begin(), full_attention_layers.end(), layer);
  }
  /// Width of one head's values.
  [[nodiscard]] int value_head_dim() const {
    return latent_attention ? latent_attention->value_head_dim : head_dim;
  }
};

}  // namespace meshplan::planner
