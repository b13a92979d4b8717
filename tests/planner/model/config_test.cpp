#include "planner/model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "planner/model/parameters.h"
#include "profiles/input_error.h"
#include "tests/planner/model/test_models.h"

namespace meshplan::planner {
namespace {

namespace fs = std::filesystem;
using profiles::InputError;
using testing::HasSubstr;
using testing::Not;

/// The message of the refusal, or "accepted".
std::string refusal(const std::string& text) {
  try {
    from(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

/// A valid llama config with `key` set to `value`; an empty value leaves it out.
std::string llama_with(const std::string& key, const std::string& value) {
  const std::pair<std::string, std::string> valid[] = {
      {"hidden_size", "64"},        {"intermediate_size", "128"}, {"num_hidden_layers", "2"},
      {"num_attention_heads", "4"}, {"num_key_value_heads", "2"}, {"vocab_size", "1000"}};
  std::string text = R"({"model_type": "llama")";
  bool known = false;
  for (const auto& [name, number] : valid) {
    known = known || name == key;
    const std::string& chosen = name == key ? value : number;
    if (!chosen.empty()) text += ", \"" + name + "\": " + chosen;
  }
  if (!known) text += ", \"" + key + "\": " + value;
  return text + "}";
}

TEST(ReadConfig, IgnoresUnknownKeys) {
  EXPECT_EQ(refusal(llama_with("torch_dtype", "\"bfloat16\"")), "accepted");
  EXPECT_EQ(refusal(llama_with("quantization_config", "{\"bits\": [1, null]}")), "accepted");
}

TEST(ReadConfig, NamesTheNearestFamily) {
  EXPECT_THAT(refusal(R"({"model_type": "lama"})"),
              AllOf(HasSubstr("config.json#/model_type"), HasSubstr("did you mean 'llama'?")));
  EXPECT_THAT(refusal(R"({"model_type": "qwen3moe"})"), HasSubstr("'qwen3_moe'"));
  EXPECT_THAT(refusal(R"({"model_type": "whisper-large"})"), HasSubstr("deepseek_v2"));
}

TEST(ReadConfig, RefusesAMissingModelType) {
  EXPECT_THAT(refusal("{}"), HasSubstr("'model_type'"));
  EXPECT_THAT(refusal(R"({"model_type": 3})"), HasSubstr("a string"));
  EXPECT_THAT(refusal(R"({"model_type": null})"), HasSubstr("a string"));
  EXPECT_THAT(refusal("[]"), HasSubstr("an object"));
  EXPECT_THAT(refusal("7"), HasSubstr("an object"));
}

TEST(ReadConfig, RefusesAMissingKeyThatTheFamilyNeeds) {
  for (const char* key : {"hidden_size", "intermediate_size", "num_hidden_layers",
                          "num_attention_heads", "vocab_size"}) {
    EXPECT_THAT(refusal(llama_with(key, "")), AllOf(HasSubstr(key), HasSubstr("\"llama\"")));
    EXPECT_THAT(refusal(llama_with(key, "null")), AllOf(HasSubstr(key), HasSubstr("null")));
  }
}

TEST(ReadConfig, RefusesWhatIsNoCount) {
  for (const char* value : {"0", "-4", "2.5", "\"64\"", "true", "[64]", "1e300"}) {
    EXPECT_THAT(refusal(llama_with("hidden_size", value)),
                AllOf(HasSubstr("config.json#/hidden_size"), HasSubstr("a whole number from 1")));
    EXPECT_THAT(refusal(llama_with("vocab_size", value)), HasSubstr("#/vocab_size"));
  }
  EXPECT_EQ(refusal(llama_with("hidden_size", "64.0")), "accepted");
}

TEST(ReadConfig, RefusesWrongTypesOfOptionalKeys) {
  EXPECT_THAT(refusal(llama_with("tie_word_embeddings", "1")), HasSubstr("true or false"));
  EXPECT_THAT(refusal(llama_with("attention_dropout", "1.5")), HasSubstr("a probability"));
  EXPECT_THAT(refusal(llama_with("hidden_act", "\"mish\"")), HasSubstr("silu"));
  EXPECT_THAT(refusal(llama_with("hidden_act", "5")), HasSubstr("a string"));
}

TEST(ReadConfig, RefusesHeadsThatDoNotDivide) {
  EXPECT_THAT(refusal(llama_with("num_attention_heads", "6")),
              AllOf(HasSubstr("#/num_attention_heads"), HasSubstr("hidden_size 64")));
  EXPECT_THAT(refusal(llama_with("num_key_value_heads", "3")),
              AllOf(HasSubstr("#/num_key_value_heads"), HasSubstr("num_attention_heads 4")));
  EXPECT_THAT(refusal(llama_with("num_key_value_heads", "8")), Not(HasSubstr("accepted")));
  // The family's default of 8 kv heads cannot serve 12 heads.
  EXPECT_THAT(refusal(R"({"model_type": "mistral", "hidden_size": 768, "intermediate_size": 64,
                          "num_hidden_layers": 1, "num_attention_heads": 12,
                          "vocab_size": 100})"),
              HasSubstr("8 by default"));
}

TEST(ReadConfig, RefusesSizesOutOfReach) {
  EXPECT_THAT(refusal(llama_with("hidden_size", "2000000000")), HasSubstr("1048576"));
  EXPECT_THAT(refusal(llama_with("vocab_size", "9000000000000000000")), HasSubstr("16777216"));
  EXPECT_THAT(refusal(llama_with("head_dim", "16777216")), HasSubstr("heads times head_dim"));
  // Each key within its bound, all together not: 65536 layers of 3 * 2^20 * 2^24.
  EXPECT_THAT(refusal(R"({"model_type": "llama", "hidden_size": 1048576,
                          "intermediate_size": 16777216, "num_hidden_layers": 65536,
                          "num_attention_heads": 8192, "vocab_size": 16777216})"),
              HasSubstr("10^15 parameters"));
  EXPECT_THAT(refusal(R"({"model_type": "mixtral", "hidden_size": 1048576,
                          "intermediate_size": 16777216, "num_hidden_layers": 65536,
                          "num_attention_heads": 8192, "num_local_experts": 65536,
                          "num_experts_per_tok": 65536, "vocab_size": 16777216})"),
              HasSubstr("10^15 parameters"));
}

TEST(ReadConfig, RefusesImpossibleRouting) {
  EXPECT_THAT(refusal(R"({"model_type": "mixtral", "hidden_size": 64, "intermediate_size": 128,
                          "num_hidden_layers": 2, "num_attention_heads": 8, "vocab_size": 100,
                          "num_local_experts": 2, "num_experts_per_tok": 3})"),
              AllOf(HasSubstr("#/num_experts_per_tok"), HasSubstr("the 2 routed experts")));
}

TEST(LoadModel, EveryPresetReadsAndIsNamed) {
  const profiles::DataFiles files;
  const auto names = files.names("models");
  EXPECT_GE(names.size(), 33u);
  for (const std::string& name : names) {
    const Transformer model = load_model(name, files);
    EXPECT_EQ(model.name, name);
    EXPECT_GT(parameter_count(model), 0);
  }
}

TEST(LoadModel, UnknownPresetNamesTheNearest) {
  try {
    load_model("lama-2-7b", {});
    FAIL() << "accepted";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean 'llama-2-7b'?"));
  }
}

TEST(LoadModel, ReadsAConfigByPathOrFolder) {
  const fs::path folder = fs::path(testing::TempDir()) / "my-llama";
  fs::create_directories(folder);
  std::ofstream(folder / "config.json") << llama_with("vocab_size", "500");
  EXPECT_EQ(load_model(folder.string(), {}).name, "my-llama");
  EXPECT_EQ(load_model((folder / "config.json").string(), {}).vocab, 500);
  std::ofstream(folder / "other.json") << llama_with("vocab_size", "501");
  EXPECT_EQ(load_model((folder / "other.json").string(), {}).name, "other");
  EXPECT_THROW(load_model((folder / "none.json").string(), {}), InputError);
  fs::remove_all(folder);
}

/// Any JSON gives a consistent model or an InputError: random values under known keys.
TEST(ReadConfig, NeverThrowsAnythingElse) {
  const std::vector<std::string> types = model_types();
  EXPECT_TRUE(rc::check([&] {
    static const std::vector<std::string> keys = {"hidden_size",
                                                  "n_embd",
                                                  "num_hidden_layers",
                                                  "n_layer",
                                                  "num_attention_heads",
                                                  "n_head",
                                                  "num_key_value_heads",
                                                  "head_dim",
                                                  "intermediate_size",
                                                  "n_inner",
                                                  "ffn_dim",
                                                  "vocab_size",
                                                  "n_positions",
                                                  "sliding_window",
                                                  "use_sliding_window",
                                                  "num_experts",
                                                  "num_local_experts",
                                                  "num_experts_per_tok",
                                                  "n_routed_experts",
                                                  "n_shared_experts",
                                                  "moe_intermediate_size",
                                                  "kv_lora_rank",
                                                  "q_lora_rank",
                                                  "qk_nope_head_dim",
                                                  "qk_rope_head_dim",
                                                  "v_head_dim",
                                                  "mlp_only_layers",
                                                  "moe_layer_freq",
                                                  "decoder_sparse_step",
                                                  "shared_expert_intermediate_size",
                                                  "first_k_dense_replace"};
    static const std::vector<std::string> values = {
        "1",       "2",        "8",     "64",     "4096", "65536",
        "1048576", "16777216", "0",     "-1",     "1e9",  "3000000000000",
        "null",    "true",     "\"x\"", "[0, 1]", "1.5"};
    std::string text = "{\"model_type\": \"" + *rc::gen::elementOf(types) + "\"";
    for (const std::string& key : keys) {
      // Mostly small counts, so that many documents get past the first key.
      const bool likely = *rc::gen::inRange(0, 12) > 0;
      text += ", \"" + key + "\": " +
              (likely ? std::to_string(1 << *rc::gen::inRange(0, 7)) : *rc::gen::elementOf(values));
    }
    try {
      const Transformer model = from(text + "}");
      RC_ASSERT(parameter_count(model) > 0);
      RC_ASSERT(model.heads % model.kv_heads == 0);
      RC_ASSERT(active_parameters(model) <= parameter_count(model));
      RC_TAG("accepted");
    } catch (const InputError&) {
      RC_TAG("refused");
    }
  }));
}

TEST(ReadConfig, ReadsTheModelsOfRecordedRuns) {
  const char* folder = std::getenv("MESHPLAN_DATA");
  if (folder == nullptr) GTEST_SKIP() << "MESHPLAN_DATA is not set";
  int models = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.path().filename().string().starts_with("runs_")) continue;
    const auto document = profiles::JsonNode::read_file(entry.path().string());
    for (const auto& [name, config] : document.at("models").members()) {
      EXPECT_GT(parameter_count(read_config(config, name)), 0) << name;
      ++models;
    }
  }
  EXPECT_GT(models, 0);
}

}  // namespace
}  // namespace meshplan::planner
