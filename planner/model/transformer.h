#pragma once
#include <optional>
#include <string>

namespace meshplan::planner {

enum class Activation { Gelu, Relu, SquaredRelu, SwiGlu, GeGlu };
enum class Normalization { LayerNorm, RmsNorm };
enum class PositionKind { Learned, Rotary, Alibi, None };

/// Routed experts of a mixture-of-experts layer.
struct Experts {
  int count = 0;              ///< routed experts per layer
  int per_token = 0;          ///< top-k
  int width = 0;              ///< intermediate width of one routed expert
  int shared_width = 0;       ///< total width of the shared experts, 0 if none
  bool shared_gate = false;   ///< the shared expert is scaled by a learned gate (Qwen2-MoE)
  bool router_bias = false;   ///< per-expert score correction (DeepSeek-V3)
  int first_dense_layers = 0; ///< leading layers with a dense MLP instead
  int every = 1;              ///< one layer in `every` is sparse, after the first dense ones
};

/// Multi-head latent attention (DeepSeek V2, V3): widths per head and of the latents.
struct LatentAttention {
  int query_rank = 0;  ///< q_lora_rank; 0: queries are projected directly
  int key_value_rank = 0;
  int nope_head_dim = 0, rope_head_dim = 0, value_head_dim = 0;
};

/// A decoder-only transformer: what a Hugging Face config.json says, in one vocabulary for every
/// family. Widths count elements.
struct Transformer {
  std::string name;        ///< preset or file stem
  std::string model_type;  ///< as config.json names the family
  int layers = 0, hidden = 0, heads = 0, kv_heads = 0, head_dim = 0;
  int ffn = 0;  ///< width of the dense MLP
  int vocab = 0;
  int max_positions = 0;
  int learned_positions = 0;  ///< rows of the position table (OPT: 2 more than max_positions)
  int embedding_width = 0;    ///< OPT-350m projects from a narrower embedding; else = hidden
  Activation activation = Activation::Gelu;
  Normalization normalization = Normalization::LayerNorm;
  PositionKind position = PositionKind::Rotary;
  bool tied_embeddings = false;
  bool qkv_bias = false, projection_bias = false, mlp_bias = false, head_bias = false;
  bool parallel_residual = false;  ///< GPT-NeoX: attention and MLP read the same input
  bool embedding_norm = false;     ///< BLOOM
  bool final_norm = true;
  bool query_key_norm = false;     ///< Qwen3: RMSNorm over head_dim of Q and K
  int norms_per_layer = 2;
  double dropout = 0;              ///< hidden and attention dropout of training; 0: none
  std::optional<int> sliding_window;
  std::optional<Experts> experts;
  std::optional<LatentAttention> latent_attention;

  /// SwiGLU and GeGLU have gate and up projections.
  [[nodiscard]] bool gated() const {
    return activation == Activation::SwiGlu || activation == Activation::GeGlu;
  }
  /// Whether layer `layer` (0-based) routes to experts.
  [[nodiscard]] bool sparse(int layer) const {
    return experts && layer >= experts->first_dense_layers && (layer + 1) % experts->every == 0;
  }
};

}  // namespace meshplan::planner
