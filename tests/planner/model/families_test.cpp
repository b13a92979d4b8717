// The keys and defaults of each family, on small configs made by hand.
#include <gtest/gtest.h>

#include "planner/model/parameters.h"
#include "profiles/input_error.h"
#include "tests/planner/model/test_models.h"

namespace meshplan::planner {
namespace {

/// The keys that Llama's descendants share, for 8 heads of hidden 64.
std::string llama_like(const std::string& model_type, const std::string& more = "") {
  return R"({"model_type": ")" + model_type +
         R"(", "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 8,
             "intermediate_size": 96, "vocab_size": 100)" +
         more + "}";
}

TEST(Gpt2, Defaults) {
  const Transformer model = small_gpt();
  EXPECT_EQ(model.ffn, 4096);  // n_inner absent or null: 4 n_embd
  EXPECT_EQ(small_gpt(R"(, "n_inner": null)").ffn, 4096);
  EXPECT_EQ(small_gpt(R"(, "n_inner": 2048)").ffn, 2048);
  EXPECT_TRUE(model.tied_embeddings);
  EXPECT_EQ(model.activation, Activation::Gelu);
  EXPECT_EQ(model.position, PositionKind::Learned);
  EXPECT_EQ(model.learned_positions, 2048);
  EXPECT_DOUBLE_EQ(model.dropout, 0.1);
  EXPECT_DOUBLE_EQ(small_gpt(R"(, "resid_pdrop": 0.0)").dropout, 0);
  EXPECT_TRUE(model.qkv_bias && model.projection_bias && model.mlp_bias);
}

TEST(GptNeox, Defaults) {
  const Transformer model = from(llama_like("gpt_neox"));
  EXPECT_TRUE(model.parallel_residual);
  EXPECT_TRUE(model.qkv_bias && model.projection_bias && model.mlp_bias);
  EXPECT_FALSE(model.tied_embeddings);
  EXPECT_FALSE(model.gated());
  EXPECT_EQ(model.normalization, Normalization::LayerNorm);
  const Transformer other =
      from(llama_like("gpt_neox", R"(, "attention_bias": false, "use_parallel_residual": false)"));
  EXPECT_FALSE(other.qkv_bias || other.projection_bias || other.parallel_residual);
}

TEST(Opt, PositionsEmbeddingAndFinalNorm) {
  const auto opt = [](const std::string& more) {
    return from(R"({"model_type": "opt", "hidden_size": 64, "num_hidden_layers": 1,
                    "num_attention_heads": 8, "ffn_dim": 256, "vocab_size": 100)" +
                more + "}");
  };
  const Transformer model = opt("");
  EXPECT_EQ(model.learned_positions, 2050);  // default 2048, plus the offset of 2
  EXPECT_EQ(model.activation, Activation::Relu);
  EXPECT_TRUE(model.tied_embeddings && model.final_norm);
  EXPECT_EQ(model.embedding_width, 64);
  EXPECT_EQ(opt(R"(, "word_embed_proj_dim": 32)").embedding_width, 32);
  EXPECT_FALSE(opt(R"(, "_remove_final_layer_norm": true)").final_norm);
  EXPECT_FALSE(opt(R"(, "enable_bias": false)").mlp_bias);
  // Two norms of 2 * 64 less per layer.
  EXPECT_EQ(layer_parameters(opt(R"(, "layer_norm_elementwise_affine": false)"), 0),
            layer_parameters(model, 0) - 256);
}

TEST(Bloom, EitherSpellingOfItsWidths) {
  const Transformer model = from(R"({"model_type": "bloom", "n_embed": 64, "n_layer": 2,
                                     "num_attention_heads": 8, "vocab_size": 100})");
  EXPECT_EQ(model.hidden, 64);
  EXPECT_EQ(model.ffn, 256);
  EXPECT_EQ(model.position, PositionKind::Alibi);
  EXPECT_TRUE(model.embedding_norm && model.tied_embeddings);
  // Embedding 100 * 64 and its LayerNorm of 2 * 64; no position table.
  EXPECT_EQ(embedding_parameters(model), 6528);
}

TEST(Llama, Defaults) {
  const Transformer model = from(llama_like("llama"));
  EXPECT_EQ(model.kv_heads, 8);
  EXPECT_EQ(model.head_dim, 8);
  EXPECT_EQ(model.activation, Activation::SwiGlu);
  EXPECT_EQ(model.normalization, Normalization::RmsNorm);
  EXPECT_FALSE(model.tied_embeddings || model.qkv_bias || model.mlp_bias);
  EXPECT_FALSE(model.sliding_window);
  // attention_bias covers q, k, v and the output: 4 * 64 more; mlp_bias gate, up, down: 96*2+64.
  const std::int64_t plain = layer_parameters(model, 0);
  EXPECT_EQ(layer_parameters(from(llama_like("llama", R"(, "attention_bias": true)")), 0),
            plain + 256);
  EXPECT_EQ(layer_parameters(from(llama_like("llama", R"(, "mlp_bias": true)")), 0), plain + 256);
}

TEST(Llama, HeadDimNeedNotBeHiddenOverHeads) {
  const Transformer model = from(llama_like("llama", R"(, "head_dim": 12)"));
  // Attention 4 * 64 * 96, MLP 3 * 64 * 96, two norms.
  EXPECT_EQ(layer_parameters(model, 0), 4 * 64 * 96 + 3 * 64 * 96 + 128);
}

TEST(Mistral, DefaultKeyValueHeadsAndWindow) {
  const Transformer model = from(llama_like("mistral"));
  EXPECT_EQ(model.kv_heads, 8);
  EXPECT_EQ(model.sliding_window, 4096);
  EXPECT_FALSE(from(llama_like("mistral", R"(, "sliding_window": null)")).sliding_window);
  EXPECT_EQ(from(llama_like("mistral", R"(, "sliding_window": 128)")).sliding_window, 128);
}

TEST(Qwen2, BiasOnQkvOnlyAndWindowOnlyOnRequest) {
  const Transformer model = from(llama_like("qwen2", R"(, "sliding_window": 4096)"));
  EXPECT_TRUE(model.qkv_bias);
  EXPECT_FALSE(model.projection_bias);
  EXPECT_FALSE(model.sliding_window);
  const Transformer windowed = from(llama_like(
      "qwen2", R"(, "sliding_window": 16, "use_sliding_window": true, "max_window_layers": 2)"));
  EXPECT_EQ(windowed.sliding_window, 16);
  EXPECT_FALSE(windowed.windowed(1));
  EXPECT_TRUE(windowed.windowed(2));
}

TEST(Qwen3, HeadDimIs128AndQueriesAndKeysAreNormed) {
  const Transformer model = from(llama_like("qwen3", R"(, "num_key_value_heads": 2)"));
  EXPECT_EQ(model.head_dim, 128);
  EXPECT_TRUE(model.query_key_norm);
  EXPECT_FALSE(model.qkv_bias);
  // q, o: 2 * 64 * 1024; k, v: 2 * 64 * 256; MLP 3 * 64 * 96; norms 2 * 64 + 2 * 128.
  EXPECT_EQ(layer_parameters(model, 0), 131072 + 32768 + 18432 + 384);
}

TEST(Gemma, FromTheSecondOnNormedTwiceAndMostlyWindowed) {
  const std::string few = R"(, "num_key_value_heads": 4, "sliding_window": 16)";
  const Transformer second = from(llama_like("gemma2", few));
  EXPECT_TRUE(second.windowed(0) && !second.windowed(1) && second.windowed(2));
  const Transformer first = from(llama_like("gemma", few));
  EXPECT_EQ(layer_parameters(second, 0), layer_parameters(first, 0) + 2 * 64);
  const Transformer third =
      from(llama_like("gemma3_text", few + R"(, "sliding_window_pattern": 4)"));
  EXPECT_TRUE(third.windowed(2) && !third.windowed(3));
  EXPECT_EQ(layer_parameters(third, 0), layer_parameters(second, 0) + 2 * 256);
}

TEST(LayerTypes, SayWhichLayersSeeEverything) {
  const auto types = [](const std::string& list) {
    return from(llama_like("gemma2", R"(, "num_key_value_heads": 4, "layer_types": )" + list));
  };
  const Transformer model =
      types(R"(["full_attention", "sliding_attention", "sliding_attention", "full_attention"])");
  EXPECT_EQ(model.full_attention_layers, (std::vector<int>{0, 3}));
  EXPECT_THROW(types(R"(["full_attention"])"), profiles::InputError);
  EXPECT_THROW(types(R"(["full_attention", "linear_attention", "full_attention",
                         "full_attention"])"),
               profiles::InputError);
}

TEST(Falcon, OneNormForBothOrOneForEach) {
  const Transformer old = from(llama_like("falcon"));
  EXPECT_EQ(old.kv_heads, 1);
  EXPECT_TRUE(old.parallel_residual && old.shared_norm && old.tied_embeddings);
  const Transformer newer =
      from(llama_like("falcon", R"(, "new_decoder_architecture": true, "num_kv_heads": 1)"));
  EXPECT_FALSE(newer.shared_norm);
  EXPECT_EQ(layer_parameters(newer, 0), layer_parameters(old, 0) + 2 * 64);
}

TEST(GptOss, SinksBiasesAndEveryOtherLayerWindowed) {
  const Transformer model = from(llama_like(
      "gpt_oss", R"(, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 16)"));
  EXPECT_TRUE(model.windowed(0) && !model.windowed(1));
  // Heads of 64: q, o 2 * 64 * 512 + 512 + 64, k, v 2 * (64 * 512 + 512), 8 sinks, router
  // 64 * 4 + 4, experts 4 * (64 * 192 + 192 + 96 * 64 + 64), norms 2 * 64.
  EXPECT_EQ(layer_parameters(model, 0), 66112 + 66560 + 8 + 260 + 74752 + 128);
}

TEST(RotaryBase, UnderTheNamesThatFilesGiveIt) {
  EXPECT_DOUBLE_EQ(from(llama_like("llama")).rotary_base, 10000);
  EXPECT_DOUBLE_EQ(from(llama_like("llama", R"(, "rope_theta": 5e5)")).rotary_base, 5e5);
  EXPECT_DOUBLE_EQ(
      from(llama_like("llama", R"(, "rope_parameters": {"rope_theta": 1e6})")).rotary_base, 1e6);
  EXPECT_THROW(from(llama_like("llama", R"(, "rope_theta": 0)")), profiles::InputError);
}

TEST(Gemma, TiedWideHeadsAndGeGlu) {
  const Transformer model = from(llama_like("gemma"));
  EXPECT_EQ(model.head_dim, 256);
  EXPECT_TRUE(model.tied_embeddings);
  EXPECT_EQ(model.activation, Activation::GeGlu);
}

TEST(Phi3, SameParametersAsLlama) {
  const Transformer model = from(llama_like("phi3", R"(, "sliding_window": 2047)"));
  EXPECT_EQ(parameter_count(model), parameter_count(from(llama_like("llama"))));
  EXPECT_EQ(model.sliding_window, 2047);
}

TEST(Nemotron, UngatedSquaredReluAndLayerNormWithBias) {
  const Transformer model = from(llama_like("nemotron"));
  EXPECT_EQ(model.activation, Activation::SquaredRelu);
  // Attention 4 * 64 * 64, MLP 2 * 64 * 96, two norms of weight and bias.
  EXPECT_EQ(layer_parameters(model, 0), 16384 + 12288 + 256);
}

TEST(Mixtral, EveryLayerIsSparse) {
  const Transformer model =
      from(llama_like("mixtral", R"(, "num_local_experts": 4, "num_experts_per_tok": 2)"));
  EXPECT_EQ(model.experts->width, 96);
  EXPECT_TRUE(model.sparse(0) && model.sparse(3));
  // Attention 4 * 64 * 64 (8 kv heads by default), experts 4 * 3 * 64 * 96, router 64 * 4, norms.
  EXPECT_EQ(layer_parameters(model, 0), 16384 + 73728 + 256 + 128);
}

TEST(QwenMoe, DenseLayersByStepAndByList) {
  const std::string more = R"(, "num_experts": 4, "num_experts_per_tok": 2,
      "moe_intermediate_size": 32, "shared_expert_intermediate_size": 48)";
  const Transformer every = from(llama_like("qwen2_moe", more));
  // q, k, v, o 4 * 64 * 64 with bias 3 * 64; experts 4 * 3 * 64 * 32; shared 3 * 64 * 48 and its
  // gate 64; router 64 * 4; norms 128.
  EXPECT_EQ(layer_parameters(every, 0), 16384 + 192 + 24576 + 9216 + 64 + 256 + 128);
  const Transformer some = from(llama_like("qwen3_moe", more + R"(, "num_key_value_heads": 8,
          "decoder_sparse_step": 2, "mlp_only_layers": [1])"));
  EXPECT_FALSE(some.sparse(0));  // (0 + 1) % 2 != 0
  EXPECT_FALSE(some.sparse(1));  // listed
  EXPECT_TRUE(some.sparse(3));
  // A dense layer needs intermediate_size.
  EXPECT_THROW(from(R"({"model_type": "qwen3_moe", "hidden_size": 64, "num_hidden_layers": 4,
                        "num_attention_heads": 8, "num_experts": 4, "num_experts_per_tok": 2,
                        "moe_intermediate_size": 32, "vocab_size": 100,
                        "mlp_only_layers": [0]})"),
               profiles::InputError);
}

TEST(DeepSeek, LatentsFirstDenseLayersAndSharedExperts) {
  const auto deepseek = [](const std::string& type, const std::string& more) {
    return from(llama_like(type, R"(, "kv_lora_rank": 16, "qk_nope_head_dim": 4,
        "qk_rope_head_dim": 2, "v_head_dim": 3, "moe_intermediate_size": 8)" +
                                     more));
  };
  const std::string routed = R"(, "n_routed_experts": 4, "num_experts_per_tok": 2,
      "n_shared_experts": 2, "first_k_dense_replace": 1)";
  const Transformer v2 = deepseek("deepseek_v2", routed + R"(, "q_lora_rank": null)");
  // Queries 64 * 8 * 6, latents 64 * 18 and norm 16, up 16 * 8 * 7, output 8 * 3 * 64, two norms.
  const std::int64_t attention = 3072 + 1152 + 16 + 896 + 1536 + 128;
  EXPECT_EQ(layer_parameters(v2, 0), attention + 3 * 64 * 96);
  EXPECT_EQ(layer_parameters(v2, 1), attention + (4 + 2) * 3 * 64 * 8 + 64 * 4);
  // Queries through a latent of 10: 64 * 10 + 10 + 10 * 48; and the router's correction, 4.
  const Transformer v3 = deepseek("deepseek_v3", routed + R"(, "q_lora_rank": 10)");
  EXPECT_EQ(layer_parameters(v3, 1), attention - 3072 + 1130 + (4 + 2) * 3 * 64 * 8 + 64 * 4 + 4);
  EXPECT_FALSE(deepseek("deepseek_v2", "").experts);  // no routed experts: dense
  // Layers whose index the frequency does not divide are dense.
  const Transformer sparse = deepseek("deepseek_v2", routed + R"(, "moe_layer_freq": 2)");
  EXPECT_FALSE(sparse.sparse(1));
  EXPECT_TRUE(sparse.sparse(2));
}

}  // namespace
}  // namespace meshplan::planner
