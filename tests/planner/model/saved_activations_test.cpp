// Bytes kept for backward, against the closed forms of Korthikanti et al. 2022 (GPT) and their
// analogue for gated, grouped-query models. n tokens, h hidden, a heads, g kv heads, s sequence,
// t tensor parallel, gamma = g/a, phi = ffn/h.
#include "planner/model/saved_activations.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "planner/model/operator_graph.h"
#include "tests/planner/model/test_models.h"

namespace meshplan::planner {
namespace {

constexpr std::int64_t s = 2048;
constexpr std::int64_t n = 2 * s;  // two sequences
constexpr std::int64_t h = 1024;
constexpr std::int64_t a = 16;

std::int64_t saved(const Transformer& model, bool flash, int tp, bool sp,
                   Recompute recompute = Recompute::None) {
  return saved_activation_bytes(layer_operators(model, 0, flash), n, s, tp, sp, recompute).count;
}

TEST(SavedActivations, OfGptWithScores) {
  const Transformer gpt = small_gpt();
  EXPECT_EQ(saved(gpt, false, 1, false), n * (34 * h + 5 * a * s));
  for (const int t : {2, 4, 8, 16}) {
    EXPECT_EQ(saved(gpt, false, t, false), n * (10 * h + 24 * h / t + 5 * a * s / t));
    EXPECT_EQ(saved(gpt, false, t, true), n * (34 * h + 5 * a * s) / t);
  }
}

TEST(SavedActivations, SelectiveRecomputationDropsTheScores) {
  const Transformer gpt = small_gpt();
  EXPECT_EQ(saved(gpt, false, 1, false, Recompute::Selective), 34 * n * h);
  EXPECT_EQ(saved(gpt, false, 8, true, Recompute::Selective), 34 * n * h / 8);
  EXPECT_EQ(saved(gpt, false, 8, false, Recompute::Selective), n * (10 * h + 24 * h / 8));
  EXPECT_EQ(saved(gpt, false, 8, true, Recompute::None) -
                saved(gpt, false, 8, true, Recompute::Selective),
            n * 5 * a * s / 8);
}

TEST(SavedActivations, FullRecomputationKeepsTheInput) {
  for (const Transformer& model : {small_gpt(), small_llama()}) {
    EXPECT_EQ(saved(model, false, 1, false, Recompute::Full), 2 * n * h);
    EXPECT_EQ(saved(model, true, 4, false, Recompute::Full), 2 * n * h);
    EXPECT_EQ(saved(model, true, 4, true, Recompute::Full), 2 * n * h / 4);
  }
}

TEST(WeightGradActivations, OfAGptLayerByHand) {
  // Inputs: qkv 2 h, projection 2 h, up 2 h, down 2 * 4 h; gradients of outputs: qkv 2 * 3 h,
  // projection 2 h, up 2 * 4 h, down 2 h. Scores and masks are gone after B.
  const LayerSplit whole{.tp = 1, .sp = false, .ep = 1, .etp = 1};
  EXPECT_EQ(weight_grad_activation_bytes(layer_operators(small_gpt(), 0, false), n, s, whole).count,
            n * h * (2 + 2 + 2 + 8 + 6 + 2 + 8 + 2));
}

TEST(SavedActivations, FlashAttentionKeepsStatisticsInsteadOfScores) {
  const Transformer gpt = small_gpt();
  EXPECT_EQ(saved(gpt, true, 1, false), n * (34 * h + 4 * a));
  EXPECT_EQ(saved(gpt, true, 4, true), n * (34 * h + 4 * a) / 4);
  EXPECT_EQ(saved(gpt, true, 4, true, Recompute::Selective), n * 34 * h / 4);
}

TEST(SavedActivations, WithoutDropoutTwoMasksAndTheDroppedScoresAreMissing) {
  const Transformer gpt = small_gpt(R"(, "resid_pdrop": 0.0, "attn_pdrop": 0.0)");
  // 12 + 4 gamma + 4 phi = 32 with gamma = 1, phi = 4; of the scores the softmax output is left.
  EXPECT_EQ(saved(gpt, true, 1, false), n * (32 * h + 4 * a));
  EXPECT_EQ(saved(gpt, false, 1, false), n * (32 * h + 2 * a * s));
}

TEST(SavedActivations, OfGptWithAnyWidth) {
  // 14 + 4 gamma + 4 phi, phi = 3.
  EXPECT_EQ(saved(small_gpt(R"(, "n_inner": 3072)"), false, 1, false, Recompute::Selective),
            n * h * (14 + 4 + 12));
}

TEST(SavedActivations, OfLlama) {
  const Transformer llama = small_llama();
  // 12 + 4 gamma + 6 phi = 12 + 1 + 18, and the statistics.
  EXPECT_EQ(saved(llama, true, 1, false), n * (31 * h + 4 * a));
  for (const int t : {2, 4}) {
    EXPECT_EQ(saved(llama, true, t, false), n * (8 * h + (4 + 1 + 18) * h / t + 4 * a / t));
    EXPECT_EQ(saved(llama, true, t, true), n * (31 * h + 4 * a) / t);
  }
}

TEST(SavedActivations, FewKeyValueHeadsAreReplicated) {
  // g = 4 < t = 8: gamma becomes max(g, t) / a = 1/2, so 12 + 2 + 18.
  EXPECT_EQ(saved(small_llama(), true, 8, true), n * (32 * h + 4 * a) / 8);
  EXPECT_EQ(saved(small_llama(), true, 8, false), n * (8 * h + (4 + 2 + 18) * h / 8 + 4 * a / 8));
}

TEST(SavedActivations, HeadsWiderThanHidden) {
  // head_dim 96: Q and output 1536 instead of 1024, K and V 4 * 96 each.
  EXPECT_EQ(saved(small_llama(R"(, "head_dim": 96)"), true, 1, false),
            n * (8 * h + 2 * 2 * 1536 + 2 * 2 * 384 + 18 * h + 4 * a));
}

TEST(SavedActivations, QueryKeyNormKeepsItsInputs) {
  const Transformer qwen = from(R"({"model_type": "qwen3", "hidden_size": 1024,
      "num_hidden_layers": 1, "num_attention_heads": 16, "num_key_value_heads": 4,
      "head_dim": 64, "intermediate_size": 3072, "vocab_size": 1000})");
  // Queries and keys before the norm: 2 (1 + gamma).
  EXPECT_EQ(saved(qwen, true, 1, false), n * (31 * h + 4 * a) + 2 * n * (h + h / 4));
}

TEST(SavedActivations, OfExperts) {
  const Transformer mixtral = from(R"({"model_type": "mixtral", "hidden_size": 1024,
      "num_hidden_layers": 1, "num_attention_heads": 16, "num_key_value_heads": 4,
      "intermediate_size": 512, "num_local_experts": 8, "num_experts_per_tok": 2,
      "vocab_size": 1000})");
  // Attention and norms 2 + 2 + 4 + 4 gamma + 2; router input 2 and 8 E bytes; dispatched copies
  // 2 k; gate and up 4 phi k; down input 2 phi k; outputs to be weighted 2 k. k = 2, phi = 1/2.
  const std::int64_t halves = 2 * h + 2 * h + 2 * h + 2 * h;  // cut by sequence parallelism
  const std::int64_t heads = 5 * h + 4 * a;
  EXPECT_EQ(saved(mixtral, true, 1, false),
            n * (halves + heads + 8 * 8 + 4 * h + 4 * h + 2 * h + 4 * h));
  // tp = etp = 4 with sequence parallelism: the copies are whole on each rank.
  EXPECT_EQ(saved(mixtral, true, 4, true),
            n * (halves + heads + 8 * 8 + 4 * h + 2 * h) / 4 + n * (4 * h + 4 * h));
  // etp = 1: each rank has the copies of its own tokens only.
  const LayerSplit split{.tp = 4, .sp = true, .ep = 4, .etp = 1};
  EXPECT_EQ(
      saved_activation_bytes(layer_operators(mixtral, 0, true), n, s, split, Recompute::None).count,
      n * (halves + heads + 8 * 8 + 4 * h + 4 * h + 2 * h + 4 * h) / 4);
}

TEST(SavedActivations, OfLatentAttention) {
  const Transformer model = preset("deepseek-v3");
  // Elements of 2 bytes: norm input and projection input 7168 each, latents before and after their
  // norms 2 * 1536 + 2 * 512, Q and K 128 * 192 each, V and output 128 * 128 each, norm and MLP
  // input 7168 each, gate and up 2 * 18432, product 18432; statistics 4 * 128.
  const std::int64_t elements =
      4 * 7168 + 2 * 1536 + 2 * 512 + 2 * 128 * 192 + 2 * 128 * 128 + 3 * 18432;
  EXPECT_EQ(saved(model, true, 1, false), n * (2 * elements + 4 * 128));
}

TEST(SavedActivations, InFp32AllButMasksAndStatisticsDouble) {
  const auto bytes =
      saved_activation_bytes(layer_operators(small_gpt(), 0, true, profiles::DataType::Fp32), n, s,
                             1, false, Recompute::None);
  EXPECT_EQ(bytes.count, n * (2 * 32 * h + 2 * h + 4 * a));
}

TEST(SavedActivations, ScaleWithTokensAndNeverGrowWithTheDegrees) {
  const std::vector<Transformer> models = {preset("gpt2-xl"),       preset("llama-3-70b"),
                                           preset("mixtral-8x7b"),  preset("deepseek-v3"),
                                           preset("qwen3-30b-a3b"), preset("gemma-7b")};
  EXPECT_TRUE(rc::check([&] {
    const Transformer& model = models[*rc::gen::inRange<std::size_t>(0, models.size())];
    const int layer = *rc::gen::inRange(0, model.layers);
    const OperatorGraph graph = layer_operators(model, layer, *rc::gen::arbitrary<bool>());
    const std::int64_t keys = 128 * *rc::gen::inRange(1, 64);
    const std::int64_t tokens = keys * *rc::gen::inRange(1, 5);
    const int tp = 1 << *rc::gen::inRange(0, 6);
    const bool sp = *rc::gen::arbitrary<bool>();
    const auto recompute =
        *rc::gen::element(Recompute::None, Recompute::Selective, Recompute::Full);
    const auto bytes = [&](std::int64_t some_tokens, int degree, bool sequence, Recompute mode) {
      return saved_activation_bytes(graph, some_tokens, keys, degree, sequence, mode).count;
    };
    const std::int64_t base = bytes(tokens, tp, sp, recompute);
    RC_ASSERT(base > 0);
    RC_ASSERT(std::abs(bytes(3 * tokens, tp, sp, recompute) - 3 * base) <= 64);  // rounding up
    RC_ASSERT(bytes(tokens, 2 * tp, sp, recompute) <= base);
    RC_ASSERT(bytes(tokens, tp, true, recompute) <= bytes(tokens, tp, false, recompute));
    RC_ASSERT(bytes(tokens, tp, sp, Recompute::Full) <=
              bytes(tokens, tp, sp, Recompute::Selective));
    RC_ASSERT(bytes(tokens, tp, sp, Recompute::Selective) <=
              bytes(tokens, tp, sp, Recompute::None));
  }));
}

}  // namespace
}  // namespace meshplan::planner
