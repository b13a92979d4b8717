#pragma once
#include <string>

#include "planner/model/config.h"

namespace meshplan::planner {

inline Transformer preset(const std::string& name) {
  return load_model(name, profiles::DataFiles{});
}
inline Transformer from(const std::string& config_text) {
  return read_config(profiles::JsonNode::parse(config_text, "config.json"), "test");
}

/// One GPT layer, h = 1024, 16 heads, ffn = 4h, with the family's dropout of 0.1.
inline Transformer small_gpt(const std::string& more = "") {
  return from(R"({"model_type": "gpt2", "n_embd": 1024, "n_layer": 1, "n_head": 16,
                  "vocab_size": 1000, "n_positions": 2048)" +
              more + "}");
}
/// One Llama layer, h = 1024, 16 heads on 4 kv heads (gamma = 1/4), ffn = 3072 (phi = 3).
inline Transformer small_llama(const std::string& more = "") {
  return from(R"({"model_type": "llama", "hidden_size": 1024, "num_hidden_layers": 1,
                  "num_attention_heads": 16, "num_key_value_heads": 4,
                  "intermediate_size": 3072, "vocab_size": 1000)" +
              more + "}");
}

}  // namespace meshplan::planner
