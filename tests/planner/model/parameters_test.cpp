#include "planner/model/parameters.h"

#include <gtest/gtest.h>

#include <ostream>

#include "planner/model/operator_graph.h"
#include "tests/planner/model/test_models.h"

namespace meshplan::planner {
namespace {

struct Published {
  const char* preset;
  std::int64_t parameters;
};
void PrintTo(const Published& published, std::ostream* out) { *out << published.preset; }

class ParameterCount : public testing::TestWithParam<Published> {};

TEST_P(ParameterCount, EqualsThePublishedOne) {
  EXPECT_EQ(parameter_count(preset(GetParam().preset)), GetParam().parameters);
}

// Totals of the released checkpoints, as their owners' repositories state them.
INSTANTIATE_TEST_SUITE_P(
    Checkpoints, ParameterCount,
    testing::Values(
        Published{"gpt2", 124'439'808}, Published{"gpt2-xl", 1'557'611'200},
        Published{"bloom-176b", 176'247'271'424}, Published{"llama-2-7b", 6'738'415'616},
        Published{"llama-2-70b", 68'976'648'192}, Published{"llama-3-8b", 8'030'261'248},
        Published{"llama-3-70b", 70'553'706'496}, Published{"llama-3.1-8b", 8'030'261'248},
        Published{"llama-3.1-70b", 70'553'706'496}, Published{"llama-3.1-405b", 405'853'388'800},
        Published{"mistral-7b", 7'241'732'096}, Published{"mixtral-8x7b", 46'702'792'704},
        Published{"qwen2.5-7b", 7'615'616'512}, Published{"qwen2.5-72b", 72'706'203'648},
        Published{"qwen3-8b", 8'190'735'360}, Published{"qwen3-32b", 32'762'123'264},
        Published{"qwen3-30b-a3b", 30'532'122'624}, Published{"gemma-7b", 8'537'680'896}));

struct Config {
  const char* name;
  const char* text;
  std::int64_t parameters;
};
void PrintTo(const Config& config, std::ostream* out) { *out << config.name; }

class ConfigParameterCount : public testing::TestWithParam<Config> {};

TEST_P(ConfigParameterCount, EqualsThePublishedOne) {
  EXPECT_EQ(parameter_count(from(GetParam().text)), GetParam().parameters);
}

INSTANTIATE_TEST_SUITE_P(
    Checkpoints, ConfigParameterCount,
    testing::Values(
        Config{"opt-125m", R"({"model_type": "opt", "hidden_size": 768, "num_hidden_layers": 12,
                  "num_attention_heads": 12, "ffn_dim": 3072, "vocab_size": 50272,
                  "max_position_embeddings": 2048, "word_embed_proj_dim": 768})",
               125'239'296},
        // Projects from a 512-wide embedding and has no final norm.
        Config{"opt-350m", R"({"model_type": "opt", "hidden_size": 1024, "num_hidden_layers": 24,
                  "num_attention_heads": 16, "ffn_dim": 4096, "vocab_size": 50272,
                  "word_embed_proj_dim": 512, "do_layer_norm_before": false})",
               331'196'416},
        Config{"pythia-12b", R"({"model_type": "gpt_neox", "hidden_size": 5120,
                  "num_hidden_layers": 36, "num_attention_heads": 40,
                  "intermediate_size": 20480, "vocab_size": 50688})",
               11'846'072'320},
        Config{"bloom-560m", R"({"model_type": "bloom", "hidden_size": 1024, "n_layer": 24,
                  "n_head": 16, "vocab_size": 250880})",
               559'214'592},
        Config{"gemma-2b", R"({"model_type": "gemma", "hidden_size": 2048,
                  "num_hidden_layers": 18, "num_attention_heads": 8, "num_key_value_heads": 1,
                  "intermediate_size": 16384, "vocab_size": 256000})",
               2'506'172'416},
        Config{"phi-3-mini", R"({"model_type": "phi3", "hidden_size": 3072,
                  "num_hidden_layers": 32, "num_attention_heads": 32,
                  "intermediate_size": 8192, "vocab_size": 32064})",
               3'821'079'552},
        Config{"qwen1.5-moe-a2.7b", R"({"model_type": "qwen2_moe", "hidden_size": 2048,
                  "num_hidden_layers": 24, "num_attention_heads": 16,
                  "num_key_value_heads": 16, "intermediate_size": 5632, "num_experts": 60,
                  "num_experts_per_tok": 4, "moe_intermediate_size": 1408,
                  "shared_expert_intermediate_size": 5632, "vocab_size": 151936})",
               14'315'784'192},
        Config{"deepseek-v2-lite", R"({"model_type": "deepseek_v2", "hidden_size": 2048,
                  "num_hidden_layers": 27, "num_attention_heads": 16, "q_lora_rank": null,
                  "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64,
                  "v_head_dim": 128, "intermediate_size": 10944, "moe_intermediate_size": 1408,
                  "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6,
                  "first_k_dense_replace": 1, "vocab_size": 102400})",
               15'706'484'224},
        // Its head is the embedding, which the checkpoint holds twice.
        Config{"falcon-7b", R"({"model_type": "falcon", "hidden_size": 4544,
                  "num_hidden_layers": 32, "num_attention_heads": 71, "multi_query": true,
                  "parallel_attn": true, "bias": false, "vocab_size": 65024})",
               6'921'720'704},
        Config{"falcon-40b", R"({"model_type": "falcon", "hidden_size": 8192,
                  "num_hidden_layers": 60, "num_attention_heads": 128, "num_kv_heads": 8,
                  "new_decoder_architecture": true, "bias": false, "vocab_size": 65024})",
               41'303'293'952},
        Config{"phi-2", R"({"model_type": "phi", "hidden_size": 2560, "num_hidden_layers": 32,
                  "num_attention_heads": 32, "intermediate_size": 10240, "vocab_size": 51200})",
               2'779'683'840},
        Config{"starcoder2-15b", R"({"model_type": "starcoder2", "hidden_size": 6144,
                  "num_hidden_layers": 40, "num_attention_heads": 48, "num_key_value_heads": 4,
                  "intermediate_size": 24576, "sliding_window": 4096, "vocab_size": 49152,
                  "tie_word_embeddings": false})",
               15'957'889'024},
        Config{"gemma-2-9b", R"({"model_type": "gemma2", "hidden_size": 3584,
                  "num_hidden_layers": 42, "num_attention_heads": 16, "num_key_value_heads": 8,
                  "head_dim": 256, "intermediate_size": 14336, "sliding_window": 4096,
                  "vocab_size": 256000})",
               9'241'705'984},
        Config{"gemma-3-1b", R"({"model_type": "gemma3_text", "hidden_size": 1152,
                  "num_hidden_layers": 26, "num_attention_heads": 4, "num_key_value_heads": 1,
                  "head_dim": 256, "intermediate_size": 6912, "sliding_window": 512,
                  "sliding_window_pattern": 6, "vocab_size": 262144})",
               999'885'952},
        // 4 300 079 472 less those of the images: 417 M of the tower and of what joins it.
        Config{"gemma-3-4b", R"({"model_type": "gemma3", "vision_config": {"hidden_size": 1152},
                  "text_config": {"model_type": "gemma3_text", "hidden_size": 2560,
                    "num_hidden_layers": 34, "intermediate_size": 10240,
                    "sliding_window": 1024}})",
               3'880'263'168},
        Config{"glm-4-9b-0414", R"({"model_type": "glm4", "hidden_size": 4096,
                  "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 2,
                  "head_dim": 128, "intermediate_size": 13696, "attention_bias": true,
                  "vocab_size": 151552})",
               9'400'279'040},
        Config{"glm-4-9b-chat", R"({"model_type": "glm", "hidden_size": 4096,
                  "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 2,
                  "head_dim": 128, "intermediate_size": 13696, "attention_bias": true,
                  "vocab_size": 151552})",
               9'399'951'360},
        Config{"granite-3.0-8b", R"({"model_type": "granite", "hidden_size": 4096,
                  "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 8,
                  "intermediate_size": 12800, "vocab_size": 49155, "tie_word_embeddings": true})",
               8'170'848'256},
        Config{"olmo-2-7b", R"({"model_type": "olmo2", "hidden_size": 4096,
                  "num_hidden_layers": 32, "num_attention_heads": 32,
                  "intermediate_size": 11008, "vocab_size": 100352})",
               7'298'617'344},
        Config{"olmoe-1b-7b", R"({"model_type": "olmoe", "hidden_size": 2048,
                  "num_hidden_layers": 16, "num_attention_heads": 16, "num_experts": 64,
                  "num_experts_per_tok": 8, "intermediate_size": 1024, "vocab_size": 50304})",
               6'919'161'856},
        Config{"gpt-oss-20b", R"({"model_type": "gpt_oss", "hidden_size": 2880,
                  "num_hidden_layers": 24, "num_attention_heads": 64, "num_key_value_heads": 8,
                  "head_dim": 64, "intermediate_size": 2880, "num_local_experts": 32,
                  "num_experts_per_tok": 4, "vocab_size": 201088})",
               20'914'757'184},
        Config{"gpt-oss-120b", R"({"model_type": "gpt_oss", "hidden_size": 2880,
                  "num_hidden_layers": 36, "num_attention_heads": 64, "num_key_value_heads": 8,
                  "head_dim": 64, "intermediate_size": 2880, "num_local_experts": 128,
                  "num_experts_per_tok": 4, "vocab_size": 201088})",
               116'829'156'672},
        Config{"llama-4-scout", R"({"model_type": "llama4", "text_config": {
                  "model_type": "llama4_text", "hidden_size": 5120, "num_hidden_layers": 48,
                  "num_attention_heads": 40, "num_key_value_heads": 8, "head_dim": 128,
                  "intermediate_size": 8192, "intermediate_size_mlp": 16384,
                  "interleave_moe_layer_step": 1, "num_local_experts": 16,
                  "num_experts_per_tok": 1, "vocab_size": 202048}})",
               107'769'861'120}));

TEST(ParameterCount, OfDeepSeekV3ByHand) {
  // Attention: query 7168*1536 + 1536 + 1536*128*192, key/value 7168*576 + 512 + 512*128*256,
  // output 128*128*7168: 11010048 + 1536 + 37748736 + 4128768 + 512 + 16777216 + 117440512
  // = 187107328; two norms 14336.
  // Dense MLP 3*7168*18432 = 396361728; sparse 257*3*7168*2048 = 11318329344, router
  // 7168*256 + 256 = 1835264.
  const std::int64_t attention = 187'107'328 + 14'336;
  const std::int64_t dense = attention + 396'361'728;
  const std::int64_t sparse = attention + 11'318'329'344 + 1'835'264;
  const std::int64_t ends = 2 * std::int64_t{129280} * 7168 + 7168;
  const Transformer model = preset("deepseek-v3");
  EXPECT_EQ(layer_parameters(model, 2), dense);
  EXPECT_EQ(layer_parameters(model, 3), sparse);
  EXPECT_EQ(parameter_count(model), 3 * dense + 58 * sparse + ends);
  // The report says 671B in all, 37B active.
  EXPECT_NEAR(static_cast<double>(parameter_count(model)), 671e9, 0.5e9);
  EXPECT_NEAR(static_cast<double>(active_parameters(model)), 37e9, 0.6e9);
}

TEST(ParameterCount, OfLlama4MaverickMatchesItsCard) {
  // "17B active, 400B total parameters", of which 0.9 B see images.
  const Transformer model = from(R"({"model_type": "llama4_text", "hidden_size": 5120,
      "num_hidden_layers": 48, "num_attention_heads": 40, "num_key_value_heads": 8,
      "head_dim": 128, "intermediate_size": 8192, "intermediate_size_mlp": 16384,
      "interleave_moe_layer_step": 2, "num_local_experts": 128, "num_experts_per_tok": 1,
      "vocab_size": 202048})");
  EXPECT_NEAR(static_cast<double>(parameter_count(model)), 400e9, 1e9);
  EXPECT_NEAR(static_cast<double>(active_parameters(model)), 17e9, 0.3e9);
}

TEST(ParameterCount, OfGlm45AirMatchesItsReport) {
  // "106 billion total and 12 billion active parameters", without the layer that predicts ahead.
  const Transformer model = from(R"({"model_type": "glm4_moe", "hidden_size": 4096,
      "num_hidden_layers": 46, "num_attention_heads": 96, "num_key_value_heads": 8,
      "head_dim": 128, "intermediate_size": 10944, "moe_intermediate_size": 1408,
      "n_routed_experts": 128, "n_shared_experts": 1, "num_experts_per_tok": 8,
      "first_k_dense_replace": 1, "attention_bias": true, "vocab_size": 151552})");
  EXPECT_NEAR(static_cast<double>(parameter_count(model)), 106e9, 1e9);
  EXPECT_NEAR(static_cast<double>(active_parameters(model)), 12e9, 1.5e9);
}

TEST(ParameterCount, OfNemotron340BMatchesItsReport) {
  // "9.4 billion embedding parameters and 331.6 billion non-embedding parameters"
  const Transformer model = preset("nemotron-4-340b");
  const std::int64_t embedding = 2 * std::int64_t{256000} * 18432;
  EXPECT_NEAR(static_cast<double>(embedding), 9.4e9, 0.05e9);
  EXPECT_NEAR(static_cast<double>(parameter_count(model) - embedding), 331.6e9, 0.05e9);
}

// Narayanan et al., SC21, equation 2: P = 12 l h^2 (1 + 13/(12 h) + (V + s)/(12 l h)), and table 1.
// The equation leaves out the final norm (2 h).
TEST(ParameterCount, OfMegatronModelsFollowsTheirEquation) {
  const std::pair<const char*, double> table[] = {
      {"megatron-1.7b", 1.7},   {"megatron-3.6b", 3.6},   {"megatron-7.5b", 7.5},
      {"megatron-18b", 18.4},   {"megatron-39b", 39.1},   {"megatron-76b", 76.1},
      {"megatron-145b", 145.6}, {"megatron-310b", 310.1}, {"megatron-530b", 529.6},
      {"megatron-1t", 1008.0}};
  for (const auto& [name, billions] : table) {
    const Transformer model = preset(name);
    const std::int64_t h = model.hidden;
    const std::int64_t equation = model.layers * (12 * h * h + 13 * h) + (51200 + 2048) * h + 2 * h;
    EXPECT_EQ(parameter_count(model), equation) << name;
    EXPECT_NEAR(static_cast<double>(equation) / 1e9, billions, 0.051) << name;  // as rounded
  }
}

TEST(ParameterCount, TiedHeadIsCountedOnce) {
  const char* text = R"({"model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
      "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 1000,
      "tie_word_embeddings": %s})";
  const auto with = [&](const std::string& tied) {
    std::string config = text;
    return from(config.replace(config.find("%s"), 2, tied));
  };
  EXPECT_EQ(head_parameters(with("true")), 64);  // the final RMSNorm
  EXPECT_EQ(head_parameters(with("false")), 64 + 64 * 1000);
  EXPECT_EQ(embedding_parameters(with("true")), 64 * 1000);
}

TEST(ActiveParameters, OfMixtralAndQwen3) {
  // Mixtral: 46702792704 - 32 layers * 6 idle experts * 3 * 4096 * 14336 = 12879925248.
  EXPECT_EQ(active_parameters(preset("mixtral-8x7b")), 12'879'925'248);
  // Qwen3-30B-A3B: 30532122624 - 48 * 120 * 3 * 2048 * 768 = 3353032704, "3.3B activated".
  EXPECT_EQ(active_parameters(preset("qwen3-30b-a3b")), 3'353'032'704);
  EXPECT_EQ(active_parameters(preset("gpt2")), 124'439'808);
}

}  // namespace
}  // namespace meshplan::planner
