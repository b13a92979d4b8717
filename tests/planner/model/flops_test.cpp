#include "planner/model/flops.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <string>

#include "planner/model/model_graphs.h"
#include "planner/model/operator_graph.h"
#include "tests/planner/model/test_models.h"

namespace meshplan::planner {
namespace {

constexpr auto kFull = AttentionConvention::Full;
constexpr auto kCausal = AttentionConvention::Causal;

std::map<std::string, Operator> by_name(const OperatorGraph& graph) {
  std::map<std::string, Operator> operators;
  for (std::size_t v = 0; v < num_vertices(graph); ++v) operators[graph[v].name] = graph[v];
  return operators;
}

TEST(ForwardFlops, OfAGpt2LayerByHand) {
  // h = 768, s = 1024, per token.
  const auto ops = by_name(layer_operators(preset("gpt2"), 0, true));
  const auto per_token = [&](const char* name, AttentionConvention convention) {
    return forward_flops(ops.at(name), 1, 1024, convention).count;
  };
  EXPECT_EQ(per_token("qkv", kFull), 2 * 768 * 2304);
  EXPECT_EQ(per_token("attention", kFull), 4 * 1024 * 768);
  EXPECT_EQ(per_token("attention", kCausal), 4 * 512.5 * 768);  // (1 + 2 + ... + 1024) / 1024
  EXPECT_EQ(per_token("attention_output", kFull), 2 * 768 * 768);
  EXPECT_EQ(per_token("mlp_up", kFull), 2 * 768 * 3072);
  EXPECT_EQ(per_token("mlp_down", kFull), 2 * 3072 * 768);
  EXPECT_EQ(per_token("input_norm", kFull), 0);
  EXPECT_EQ(per_token("mlp_activation", kFull), 0);
}

TEST(ForwardFlops, OfGpt2MatchThePublishedTotal) {
  // 12 * (3538944 + 3145728 + 1179648 + 2 * 4718592) + 2 * 768 * 50257 = 284812800 a token, times
  // 1024: the total of nanoGPT's transformer_sizing notebook.
  EXPECT_EQ(forward_flops_per_sequence(preset("gpt2"), 1024, kFull).count, 291'648'307'200);
}

TEST(ModelFlops, FollowKorthikanti) {
  // 72 L s h^2 (1 + s/(6h) + V/(12 h L)) per sequence, full attention.
  for (const char* name : {"megatron-22b", "gpt3-175b", "megatron-530b", "megatron-1t"}) {
    const Transformer model = preset(name);
    const double s = 2048;
    const double h = model.hidden;
    const double layers = model.layers;
    const double published =
        72 * layers * s * h * h * (1 + s / (6 * h) + model.vocab / (12 * h * layers));
    EXPECT_NEAR(model_flops_per_sequence(model, s, kFull).count / published, 1, 1e-12) << name;
  }
}

TEST(ExecutedFlops, OfGpt2ByHand) {
  // A layer's forward is 2 * (768 * 2304 + 768 * 768 + 2 * 768 * 3072) = 14155776 of products with
  // weights and 4 * 1024 * 768 = 3145728 of attention, 12 layers; half of the latter is Q K^T.
  const Transformer model = preset("gpt2");
  const double useful = model_flops_per_token(model, 1024, kFull).count;
  const auto executed = [&](Recompute recompute, bool flash) {
    return executed_flops_per_token(model, 1024, kFull, recompute, flash).count - useful;
  };
  EXPECT_EQ(executed(Recompute::None, false), 0);
  EXPECT_EQ(executed(Recompute::None, true), 12 * 3145728 / 2);
  EXPECT_EQ(executed(Recompute::Selective, false), 12 * 3145728);
  EXPECT_EQ(executed(Recompute::Full, false), 12 * (14155776 + 3145728));
  EXPECT_EQ(executed(Recompute::Full, true), 12 * (14155776 + 3145728 + 3145728 / 2));
}

TEST(ForwardFlops, UnfusedAttentionCostsWhatTheFusedDoes) {
  const Transformer model = preset("llama-3-8b");
  const double fused = forward_flops(layer_operators(model, 0, true), 100, 4096, kCausal).count;
  EXPECT_EQ(forward_flops(layer_operators(model, 0, false), 100, 4096, kCausal).count, fused);
}

TEST(ForwardFlops, OfMixtralCountOnlyTheVisitedExperts) {
  const auto ops = by_name(layer_operators(preset("mixtral-8x7b"), 0, true));
  EXPECT_EQ(forward_flops(ops.at("experts_gate_up"), 1, 1, kFull).count,
            2.0 * 2 * 4096 * 28672);  // two of eight experts
  EXPECT_EQ(forward_flops(ops.at("router"), 1, 1, kFull).count, 2 * 4096 * 8);
}

TEST(ModelGraphs, AttentionOfAKindOfLayerIsTheAverageOfItsLayers) {
  // Every third layer sees all keys: of 4 layers one.
  const Transformer model = from(R"({"model_type": "gemma3_text", "hidden_size": 64,
      "num_hidden_layers": 4, "intermediate_size": 96, "vocab_size": 100, "sliding_window": 16,
      "sliding_window_pattern": 3})");
  double sum = 0;
  for (int layer = 0; layer < 4; ++layer) {
    const auto ops = by_name(layer_operators(model, layer, true));
    sum += forward_flops(ops.at("attention"), 1, 64, kCausal).count;
  }
  const ModelGraphs graphs = model_graphs(model, true, profiles::DataType::Bf16);
  const Operator attention = by_name(graphs.dense_layer).at("attention");
  EXPECT_DOUBLE_EQ(attention.window_share, 0.75);
  EXPECT_DOUBLE_EQ(4 * forward_flops(attention, 1, 64, kCausal).count, sum);
}

TEST(AttendedKeys, SlidingWindowIsATriangleThenAStrip) {
  const auto attention = by_name(layer_operators(preset("mistral-7b"), 0, true)).at("attention");
  // Window 4096, s = 8192: (4096 * 4097 / 2 + 4096 * 4096) / 8192.
  EXPECT_DOUBLE_EQ(attended_keys(attention, 8192, kCausal), 3072.25);
  EXPECT_DOUBLE_EQ(attended_keys(attention, 8192, kFull), 4096);
  EXPECT_DOUBLE_EQ(attended_keys(attention, 1024, kCausal), 512.5);
}

TEST(BackwardFlops, GemmHasBothGradientsAttentionOnlyOne) {
  const auto ops = by_name(layer_operators(preset("gpt2"), 0, true));
  const BackwardFlops gemm = backward_flops(ops.at("qkv"), 1, 1024, kFull);
  EXPECT_EQ(gemm.input_grad.count, 3'538'944);
  EXPECT_EQ(gemm.weight_grad.count, 3'538'944);
  const BackwardFlops attention = backward_flops(ops.at("attention"), 1, 1024, kFull);
  EXPECT_EQ(attention.input_grad.count, 2 * 3'145'728);
  EXPECT_EQ(attention.weight_grad.count, 0);
  EXPECT_EQ(attention.rebuilt.count, 3'145'728 / 2);  // Q K^T again: 5 products for 2 forward
}

TEST(BackwardFlops, AreTwiceForwardOverAnyLayer) {
  const profiles::DataFiles files;
  for (const std::string& name : files.names("models")) {
    const OperatorGraph graph = layer_operators(load_model(name, files), 0, false);
    double backward = 0;
    for (std::size_t v = 0; v < num_vertices(graph); ++v) {
      const BackwardFlops flops = backward_flops(graph[v], 1, 1000, kCausal);
      backward += flops.input_grad.count + flops.weight_grad.count;
    }
    EXPECT_DOUBLE_EQ(backward, 2 * forward_flops(graph, 1, 1000, kCausal).count) << name;
  }
}

TEST(ForwardFlops, AreLinearInTokensAndLeastWhenCausal) {
  const OperatorGraph graph = layer_operators(preset("qwen3-30b-a3b"), 0, true);
  EXPECT_TRUE(rc::check([&](std::uint16_t some) {
    const double tokens = 1 + some;
    const double keys = *rc::gen::inRange(1, 100'000);
    const double causal = forward_flops(graph, tokens, keys, kCausal).count;
    RC_ASSERT(causal <= forward_flops(graph, tokens, keys, kFull).count);
    RC_ASSERT(std::abs(forward_flops(graph, 2 * tokens, keys, kCausal).count / (2 * causal) - 1) <
              1e-12);
  }));
}

}  // namespace
}  // namespace meshplan::planner
