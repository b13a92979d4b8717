#include "tests/cli/tiny_plan.h"

#include <gtest/gtest.h>

namespace meshplan::cli_test {

std::string tiny_plan(const ScratchFolder& scratch, const std::string& layout,
                      const std::string& more) {
  const std::string model =
      scratch.file("tiny.json", R"({"model_type": "gpt2", "n_layer": 2, "n_embd": 32, "n_head": 4,
  "n_positions": 16, "vocab_size": 61, "resid_pdrop": 0.1, "embd_pdrop": 0.1, "attn_pdrop": 0.0,
  "activation_function": "gelu_new"})");
  const std::string path = (scratch.path() / "plan.json").string();
  const Outcome outcome = run_meshplan(words(
      "predict --model " + model + " --cluster localhost --set devices_per_node=16 " + more +
      " --framework embedded --seq-len 16 --global-batch 8 --layout " + layout + " --out " + path));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return path;
}

}  // namespace meshplan::cli_test
