// One step of a tiny model on one rank as JSON: tokens, parameters, loss, gradients. What
// against_pytorch.py holds PyTorch against.
//   export_training gpt|llama
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "plain_transformer.h"
#include "runtime/execute/run_on_threads.h"
#include "runtime/execute/tokens.h"
#include "runtime/execute/whole_gradients.h"
#include "tiny_training.h"

int main(int arguments, char** argument) {
  using namespace meshplan::runtime;
  using nlohmann::json;
  const std::string family = arguments == 2 ? argument[1] : "";
  if (family != "gpt" && family != "llama") return 2;
  constexpr int kSequences = 4;
  const meshplan::planner::Transformer model =
      tiny_model(family == "gpt" ? Family::Gpt : Family::Llama);
  const Training training = tiny_training(model, "tp1,pp1,dp1,mbs2", kSequences, 1);
  const std::vector<RankResult> ranks = run_on_threads(training, {});

  json out = {{"family", family},           {"layers", model.layers},
              {"heads", model.heads},       {"kv_heads", model.kv_heads},
              {"head_dim", model.head_dim}, {"loss", ranks.front().losses.front()}};
  const auto length = static_cast<int>(training.workload.seq_len) + 1;
  const std::vector<std::int32_t> tokens =
      synthetic_tokens(training.options.seed, 0, kSequences, length, model.vocab);
  for (int s = 0; s < kSequences; ++s) {
    const auto begin = tokens.begin() + s * length;
    out["tokens"].push_back(std::vector<std::int32_t>(begin, begin + length));
  }
  for (const auto& [name, matrix] : plain_parameters(training)) {
    out["parameters"][name] = {
        {"rows", matrix.rows}, {"cols", matrix.cols}, {"values", matrix.values}};
  }
  for (const auto& [name, matrix] : whole_gradients(ranks)) {
    out["gradients"][name] = {
        {"rows", matrix.rows}, {"cols", matrix.cols}, {"values", matrix.values}};
  }
  std::printf("%s\n", out.dump().c_str());
  return 0;
}
