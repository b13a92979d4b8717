#include "planner/model/shard.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <string>

#include "planner/model/flops.h"
#include "planner/model/operator_graph.h"
#include "planner/model/parameters.h"
#include "tests/planner/model/test_models.h"

namespace meshplan::planner {
namespace {

std::map<std::string, Operator> by_name(const OperatorGraph& graph) {
  std::map<std::string, Operator> operators;
  for (std::size_t v = 0; v < num_vertices(graph); ++v) operators[graph[v].name] = graph[v];
  return operators;
}

void expect_shape(const RankGemm& gemm, std::int64_t rows, std::int64_t columns, std::int64_t inner,
                  std::int64_t groups = 1) {
  EXPECT_EQ(gemm.rows, rows);
  EXPECT_EQ(gemm.columns, columns);
  EXPECT_EQ(gemm.inner, inner);
  EXPECT_EQ(gemm.groups, groups);
}

TEST(RankGemm, OfLlama3WithTp8) {
  const Transformer model = preset("llama-3-70b");
  const auto ops = by_name(layer_operators(model, 0, true));
  const LayerSplit split{.tp = 8, .sp = true, .etp = 8};
  expect_shape(rank_gemm(ops.at("qkv"), 4096, split), 4096, 8 * 128 + 2 * 128, 8192);
  expect_shape(rank_gemm(ops.at("attention_output"), 4096, split), 4096, 8192, 1024);
  expect_shape(rank_gemm(ops.at("mlp_gate_up"), 4096, split), 4096, 7168, 8192);
  expect_shape(rank_gemm(ops.at("mlp_down"), 4096, split), 4096, 8192, 3584);
  expect_shape(rank_gemm(ops.at("attention"), 4096, split), 0, 0, 0);
  const auto head = by_name(head_operators(model)).at("head");
  expect_shape(rank_gemm(head, 4096, split), 4096, 16032, 8192);
}

TEST(RankGemm, KeyValueHeadsAreReplicatedBeyondTheirNumber) {
  const auto qkv = by_name(layer_operators(preset("llama-3-70b"), 0, true)).at("qkv");
  const LayerSplit split{.tp = 16, .etp = 16};
  EXPECT_EQ(rank_heads(qkv, split), 4);
  EXPECT_EQ(rank_kv_heads(qkv, split), 1);
  expect_shape(rank_gemm(qkv, 1, split), 1, 4 * 128 + 2 * 128, 8192);
  EXPECT_EQ(rank_parameters(qkv, split), 768 * 8192);
}

TEST(RankGemm, OfExperts) {
  const auto ops = by_name(layer_operators(preset("mixtral-8x7b"), 0, true));
  // ep = 4: two experts a rank; 1000 tokens make 2000 visits, 1000 for each of its experts from
  // the four ranks' 4 * 2000 visits over 8.
  const LayerSplit wide{.tp = 1, .ep = 4, .etp = 1};
  expect_shape(rank_gemm(ops.at("experts_gate_up"), 1000, wide), 1000, 28672, 4096, 2);
  EXPECT_EQ(rank_parameters(ops.at("experts_gate_up"), wide), 2 * std::int64_t{28672} * 4096);
  // tp = etp = 2: all visits on both ranks, half of each expert's width.
  const LayerSplit cut{.tp = 2, .sp = true, .ep = 1, .etp = 2};
  expect_shape(rank_gemm(ops.at("experts_gate_up"), 1000, cut), 250, 14336, 4096, 8);
  expect_shape(rank_gemm(ops.at("experts_down"), 1000, cut), 250, 4096, 7168, 8);
  // The router works on this rank's half of the sequence.
  expect_shape(rank_gemm(ops.at("router"), 1000, cut), 500, 8, 4096);
  EXPECT_EQ(rank_parameters(ops.at("router"), cut), 8 * 4096);
}

TEST(RankParameters, OfUnevenVocabularyAreTheLargestRanks) {
  const OperatorGraph graph = head_operators(preset("gpt2"));
  // ceil(50257 / 8) = 6283 rows.
  EXPECT_EQ(rank_tied_parameters(graph[2], {.tp = 8}), 6283 * 768);
  EXPECT_EQ(rank_parameters(graph[2], {.tp = 8}), 0);
}

TEST(RankGemm, RanksTogetherDoTheWholeWork) {
  const std::vector<Transformer> models = {preset("llama-3-8b"), preset("megatron-22b"),
                                           preset("nemotron-4-340b"), preset("qwen3-32b")};
  EXPECT_TRUE(rc::check([&] {
    const Transformer& model = models[*rc::gen::inRange<std::size_t>(0, models.size())];
    const int tp = 1 << *rc::gen::inRange(0, 4);  // divides heads, kv heads and widths
    const std::int64_t tokens = 64 * *rc::gen::inRange(1, 64);
    const LayerSplit split{.tp = tp, .sp = true, .etp = tp};
    const OperatorGraph graph = layer_operators(model, 0, true);
    std::int64_t parameters = 0;
    std::int64_t replicated = 0;
    for (std::size_t v = 0; v < num_vertices(graph); ++v) {
      const Operator& op = graph[v];
      parameters += tp * (rank_parameters(op, split) - op.replicated_parameters);
      replicated += op.replicated_parameters;
      if (op.kind != OperatorKind::Gemm) continue;
      const double whole = forward_flops(op, static_cast<double>(tokens), 1).count;
      RC_ASSERT(2 * tp * rank_gemm(op, tokens, split).multiply_adds() == whole);
    }
    RC_ASSERT(parameters + replicated == parameter_count(graph));
  }));
}

TEST(RankBytes, BySpread) {
  const LayerSplit split{.tp = 4, .sp = true, .etp = 2};
  Tensor tensor{.name = "x", .width = 100, .bytes_per_element = 2};
  EXPECT_EQ(rank_bytes(tensor, 10, 7, split).count, 500);  // 2000 / 4
  EXPECT_EQ(rank_bytes(tensor, 10, 7, {.tp = 4}).count, 2000);
  tensor.spread = Spread::Replicated;
  EXPECT_EQ(rank_bytes(tensor, 10, 7, split).count, 2000);
  tensor.spread = Spread::Dispatched;
  EXPECT_EQ(rank_bytes(tensor, 10, 7, split).count, 1000);
  tensor.spread = Spread::Tensor;
  EXPECT_EQ(rank_bytes(tensor, 10, 7, split).count, 500);
  tensor.units = 2;  // two units on four ranks: one each
  EXPECT_EQ(rank_bytes(tensor, 10, 7, split).count, 1000);
  tensor.attention_scores = true;
  EXPECT_EQ(rank_bytes(tensor, 10, 7, split).count, 7000);
}

}  // namespace
}  // namespace meshplan::planner
