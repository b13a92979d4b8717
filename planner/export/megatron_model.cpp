#include "planner/export/megatron_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "profiles/input_error.h"

namespace meshplan::planner {
namespace {

using profiles::InputError;

constexpr std::array<std::string_view, 42> kModelFlags = {
    "--num-layers",
    "--hidden-size",
    "--ffn-hidden-size",
    "--num-attention-heads",
    "--group-query-attention",
    "--num-query-groups",
    "--kv-channels",
    "--max-position-embeddings",
    "--position-embedding-type",
    "--use-rotary-position-embeddings",
    "--normalization",
    "--swiglu",
    "--squared-relu",
    "--disable-bias-linear",
    "--add-qkv-bias",
    "--qk-layernorm",
    "--untie-embeddings-and-output-weights",
    "--vocab-size",
    "--padded-vocab-size",
    "--make-vocab-size-divisible-by",
    "--tokenizer-type",
    "--attention-dropout",
    "--hidden-dropout",
    "--window-size",
    "--window-attn-skip-freq",
    "--softmax-type",
    "--num-experts",
    "--moe-router-topk",
    "--moe-ffn-hidden-size",
    "--moe-shared-expert-intermediate-size",
    "--moe-layer-freq",
    "--moe-router-score-function",
    "--moe-router-enable-expert-bias",
    "--moe-grouped-gemm",
    "--moe-token-dispatcher-type",
    "--multi-latent-attention",
    "--q-lora-rank",
    "--kv-lora-rank",
    "--qk-head-dim",
    "--qk-pos-emb-head-dim",
    "--v-head-dim",
    "--rotary-base",
};

/// One entry a layer, 1 for those that `chosen` names: "[1,0,1]".
template <typename Chosen>
std::string layer_list(const Transformer& model, const Chosen& chosen) {
  std::string out;
  for (int layer = 0; layer < model.layers; ++layer) {
    out += fmt::format("{}{}", layer == 0 ? "[" : ",", chosen(layer) ? 1 : 0);
  }
  return out + "]";
}

void add_attention(const Transformer& model, ShellCommand& command) {
  if (const auto& latent = model.latent_attention) {
    command.flag("--multi-latent-attention");
    if (latent->query_rank > 0) command.flag("--q-lora-rank", latent->query_rank);
    command.flag("--kv-lora-rank", latent->key_value_rank);
    command.flag("--qk-head-dim", latent->nope_head_dim);
    command.flag("--qk-pos-emb-head-dim", latent->rope_head_dim);
    command.flag("--v-head-dim", latent->value_head_dim);
    command.flag("--qk-layernorm");  // of the latents
    return;
  }
  if (model.kv_heads != model.heads) {
    command.flag("--group-query-attention");
    command.flag("--num-query-groups", model.kv_heads);
  }
  if (model.head_dim * model.heads != model.hidden) command.flag("--kv-channels", model.head_dim);
  if (model.query_key_norm) command.flag("--qk-layernorm");
  if (model.attention_sinks) command.flag("--softmax-type", std::string("learnable"));
  if (!model.sliding_window) return;
  // Keys to the left and to the right of a query, itself not counted.
  command.flag("--window-size", fmt::format("{},0", *model.sliding_window - 1));
  if (!model.full_attention_layers.empty()) {
    const auto windowed = [&](int layer) { return model.windowed(layer); };
    command.flag("--window-attn-skip-freq", layer_list(model, windowed));
  }
}

void add_experts(const Transformer& model, const Workload& workload, ShellCommand& command) {
  const Experts& experts = *model.experts;
  command.flag("--num-experts", experts.count);
  command.flag("--moe-router-topk", experts.per_token);
  command.flag("--moe-ffn-hidden-size", experts.width);
  if (experts.shared_width > 0) {
    command.flag("--moe-shared-expert-intermediate-size", experts.shared_width);
  }
  const auto sparse = [&](int layer) { return model.sparse(layer); };
  const std::string frequency = layer_list(model, sparse);
  if (frequency.find('0') != std::string::npos) command.flag("--moe-layer-freq", frequency);
  if (experts.router_bias) {
    command.flag("--moe-router-score-function", std::string("sigmoid"));
    command.flag("--moe-router-enable-expert-bias");
  }
  // The grouped kernels know bf16, and fp8 beside it, only.
  using profiles::DataType;
  if (workload.data_type == DataType::Bf16 || workload.data_type == DataType::Fp8) {
    command.flag("--moe-grouped-gemm");
  }
  command.flag("--moe-token-dispatcher-type", std::string("alltoall"));
}

/// Facts of a model that flags state by a number.
struct Stated {
  std::string_view flag;
  int value;
};

}  // namespace

void add_megatron_model(const Transformer& model, const Workload& workload, ShellCommand& command) {
  command.flag("--num-layers", model.layers);
  command.flag("--hidden-size", model.hidden);
  if (model.ffn > 0) command.flag("--ffn-hidden-size", model.ffn);
  command.flag("--num-attention-heads", model.heads);
  add_attention(model, command);
  // At least the sequence, or it is refused.
  const bool table = model.position == PositionKind::Learned;
  command.flag("--max-position-embeddings",
               table ? model.max_positions : std::max(model.max_positions, workload.seq_len));
  const std::string position = model.position == PositionKind::Learned  ? "learned_absolute"
                               : model.position == PositionKind::Rotary ? "rope"
                                                                        : "none";
  command.flag("--position-embedding-type", position);
  if (model.position == PositionKind::Rotary) {
    command.flag("--rotary-base", fmt::format("{:.0f}", model.rotary_base));
  }
  if (model.normalization == Normalization::RmsNorm) {
    command.flag("--normalization", std::string("RMSNorm"));
  }
  if (model.activation == Activation::SwiGlu) command.flag("--swiglu");
  if (model.activation == Activation::SquaredRelu) command.flag("--squared-relu");
  const bool all_sparse = model.experts && model.ffn == 0;
  const bool mlp_bias = all_sparse ? model.experts->bias : model.mlp_bias;
  if (!mlp_bias || !model.projection_bias) {
    command.flag("--disable-bias-linear");
    if (model.qkv_bias) command.flag("--add-qkv-bias");
  }
  if (!model.tied_embeddings) command.flag("--untie-embeddings-and-output-weights");
  command.flag("--attention-dropout", fmt::format("{}", model.attention_dropout));
  command.flag("--hidden-dropout", fmt::format("{}", model.dropout));
  if (model.experts) add_experts(model, workload, command);
  command.flag("--tokenizer-type", std::string("NullTokenizer"));
  command.flag("--vocab-size", model.vocab);
}

bool is_megatron_model_flag(std::string_view name) {
  return std::find(kModelFlags.begin(), kModelFlags.end(), name) != kModelFlags.end();
}

std::optional<std::string> megatron_model_config(const FlagList& flags, const std::string& where) {
  const auto layers = flags.number("--num-layers", where);
  const auto hidden = flags.number("--hidden-size", where);
  if (!layers || !hidden) return std::nullopt;
  const auto unknown = [&](const std::string& what) {
    return InputError(where, "--model for this shape", what);
  };
  if (flags.has("--multi-latent-attention")) throw unknown("--multi-latent-attention");
  if (flags.has("--squared-relu")) throw unknown("--squared-relu");
  if (flags.has("--moe-shared-expert-intermediate-size")) {
    throw unknown("--moe-shared-expert-intermediate-size");
  }
  if (flags.has("--moe-layer-freq")) throw unknown("--moe-layer-freq");
  const auto heads = flags.number("--num-attention-heads", where);
  if (!heads) throw InputError(where, "--num-attention-heads with --num-layers", "it missing");
  auto vocab = flags.number("--padded-vocab-size", where);
  if (!vocab) vocab = flags.number("--vocab-size", where);
  const std::string tokenizer = flags.value("--tokenizer-type", where).value_or("GPT2BPETokenizer");
  if (!vocab && tokenizer == "GPT2BPETokenizer") vocab = 50257;  // the size of GPT-2's vocabulary
  if (!vocab) throw InputError(where, "--vocab-size, or --model", "neither");

  const bool gated = flags.has("--swiglu");
  const bool rms = flags.value("--normalization", where).value_or("LayerNorm") == "RMSNorm";
  const bool biased = !flags.has("--disable-bias-linear");
  const int groups = flags.has("--group-query-attention")
                         ? flags.number("--num-query-groups", where).value_or(1)
                         : *heads;
  std::string position =
      flags.value("--position-embedding-type", where).value_or("learned_absolute");
  if (flags.has("--use-rotary-position-embeddings")) position = "rope";
  // Megatron-LM's own default: 4 h, or under SwiGLU two thirds of it in steps of 64.
  const int usual_ffn = gated ? (*hidden * 4 * 2 / 3) / 64 * 64 : 4 * *hidden;
  const int ffn = flags.number("--ffn-hidden-size", where).value_or(usual_ffn);
  const int positions = flags.number("--max-position-embeddings", where)
                            .value_or(flags.number("--seq-length", where).value_or(2048));
  const bool tied = !flags.has("--untie-embeddings-and-output-weights");
  nlohmann::json config = {{"vocab_size", *vocab}, {"tie_word_embeddings", tied}};
  if (const auto base = flags.number("--rotary-base", where)) config["rope_theta"] = *base;
  const auto dropout = [&](const char* flag) {
    const auto text = flags.value(flag, where);
    return text ? std::strtod(text->c_str(), nullptr) : 0.1;  // Megatron-LM's default
  };
  if (gated) {
    if (!rms) throw unknown("--swiglu without RMSNorm");
    if (position != "rope") throw unknown("--swiglu with " + position + " positions");
    const bool experts = flags.has("--num-experts");
    if (flags.has("--qk-layernorm") && !experts) throw unknown("--qk-layernorm");
    config.update({{"model_type", experts ? "qwen3_moe" : "llama"},
                   {"hidden_size", *hidden},
                   {"num_hidden_layers", *layers},
                   {"num_attention_heads", *heads},
                   {"num_key_value_heads", groups},
                   {"intermediate_size", ffn},
                   {"max_position_embeddings", positions},
                   {"attention_bias", biased || flags.has("--add-qkv-bias")},
                   {"attention_dropout", dropout("--attention-dropout")}});
    if (const auto channels = flags.number("--kv-channels", where)) config["head_dim"] = *channels;
    if (experts) {
      if (!config.contains("head_dim")) config["head_dim"] = *hidden / *heads;
      config["num_experts"] = *flags.number("--num-experts", where);
      config["num_experts_per_tok"] = flags.number("--moe-router-topk", where).value_or(2);
      config["moe_intermediate_size"] = flags.number("--moe-ffn-hidden-size", where).value_or(ffn);
    } else {
      config["mlp_bias"] = biased;
    }
    return config.dump();
  }
  if (flags.has("--num-experts")) throw unknown("experts without --swiglu");
  if (rms) throw unknown("RMSNorm without --swiglu");
  if (groups != *heads) throw unknown("--num-query-groups without --swiglu");
  if (!biased) throw unknown("--disable-bias-linear without --swiglu");
  if (position == "rope") {
    config.update({{"model_type", "gpt_neox"},
                   {"hidden_size", *hidden},
                   {"num_hidden_layers", *layers},
                   {"num_attention_heads", *heads},
                   {"intermediate_size", ffn},
                   {"max_position_embeddings", positions},
                   {"use_parallel_residual", false},
                   {"hidden_dropout", dropout("--hidden-dropout")},
                   {"attention_dropout", dropout("--attention-dropout")}});
    return config.dump();
  }
  if (position != "learned_absolute") throw unknown(position + " positions");
  config.update({{"model_type", "gpt2"},
                 {"n_embd", *hidden},
                 {"n_layer", *layers},
                 {"n_head", *heads},
                 {"n_inner", ffn},
                 {"n_positions", positions},
                 {"resid_pdrop", dropout("--hidden-dropout")},
                 {"attn_pdrop", dropout("--attention-dropout")}});
  return config.dump();
}

void require_megatron_model(const FlagList& flags, const Transformer& model,
                            const std::string& where) {
  const std::array<Stated, 5> stated = {{{"--num-layers", model.layers},
                                         {"--hidden-size", model.hidden},
                                         {"--num-attention-heads", model.heads},
                                         {"--num-query-groups", model.kv_heads},
                                         {"--ffn-hidden-size", model.ffn}}};
  for (const Stated& fact : stated) {
    const auto given = flags.number(fact.flag, where);
    if (given && fact.value > 0 && *given != fact.value) {
      throw InputError(where,
                       fmt::format("{} {} as in --model {}", fact.flag, fact.value, model.name),
                       std::to_string(*given));
    }
  }
}

}  // namespace meshplan::planner
