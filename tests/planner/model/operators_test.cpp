#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/range/iterator_range.hpp>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "planner/model/operator_graph.h"
#include "planner/model/parameters.h"
#include "tests/planner/model/test_models.h"

namespace meshplan::planner {
namespace {

std::vector<std::string> names(const OperatorGraph& graph) {
  std::vector<std::string> out;
  for (std::size_t v = 0; v < num_vertices(graph); ++v) out.push_back(graph[v].name);
  return out;
}

TEST(LayerOperators, OfGpt2WithoutFlash) {
  EXPECT_THAT(
      names(layer_operators(preset("gpt2"), 0, false)),
      testing::ElementsAre("input", "input_norm", "qkv", "scores", "softmax",
                           "probabilities_dropout", "context", "attention_output",
                           "attention_dropout", "attention_residual", "mlp_norm", "mlp_up",
                           "mlp_activation", "mlp_down", "mlp_dropout", "mlp_residual", "output"));
}

TEST(LayerOperators, OfLlamaWithFlash) {
  EXPECT_THAT(
      names(layer_operators(preset("llama-3-8b"), 0, true)),
      testing::ElementsAre("input", "input_norm", "qkv", "rotary", "attention", "attention_output",
                           "attention_residual", "mlp_norm", "mlp_gate_up", "mlp_activation",
                           "mlp_down", "mlp_residual", "output"));
}

TEST(LayerOperators, OfDeepSeekV3) {
  const Transformer model = preset("deepseek-v3");
  EXPECT_THAT(
      names(layer_operators(model, 3, true)),
      testing::ElementsAre("input", "input_norm", "query_down", "query_norm", "query_up",
                           "key_value_down", "key_value_norm", "key_value_up", "rotary",
                           "attention", "attention_output", "attention_residual", "mlp_norm",
                           "router", "dispatch", "experts_gate_up", "experts_activation",
                           "experts_down", "shared_expert_gate_up", "shared_expert_activation",
                           "shared_expert_down", "combine", "mlp_residual", "output"));
  EXPECT_THAT(names(layer_operators(model, 0, true)), testing::Contains("mlp_gate_up"));
}

TEST(EmbeddingOperators, OfGpt2AndOpt350m) {
  EXPECT_THAT(names(embedding_operators(preset("gpt2"))),
              testing::ElementsAre("input", "embedding", "position_embedding", "embedding_dropout",
                                   "output"));
  const Transformer opt = from(R"({"model_type": "opt", "hidden_size": 64, "num_hidden_layers": 1,
      "num_attention_heads": 8, "ffn_dim": 256, "vocab_size": 100, "word_embed_proj_dim": 32,
      "do_layer_norm_before": false})");
  EXPECT_THAT(names(embedding_operators(opt)), testing::Contains("project_in"));
  EXPECT_THAT(names(head_operators(opt)),
              testing::ElementsAre("input", "project_out", "head", "loss", "output"));
}

TEST(HeadOperators, TiedWeightIsTheEmbeddings) {
  const OperatorGraph tied = head_operators(preset("gpt2"));
  EXPECT_EQ(tied[2].name, "head");
  EXPECT_EQ(tied[2].parameters, 0);
  EXPECT_EQ(tied[2].tied_parameters, std::int64_t{50257} * 768);
  EXPECT_EQ(head_operators(preset("llama-2-7b"))[2].tied_parameters, 0);
}

TEST(LayerOperators, MegatronCollectives) {
  // f before qkv and the MLP's first GEMM, g after their second.
  const OperatorGraph graph = layer_operators(preset("llama-3-8b"), 0, true);
  std::vector<std::string> gathers, reduces;
  for (std::size_t v = 0; v < num_vertices(graph); ++v) {
    if (graph[v].gathers_input) gathers.push_back(graph[v].name);
    if (graph[v].reduces_output) reduces.push_back(graph[v].name);
  }
  EXPECT_THAT(gathers, testing::ElementsAre("qkv", "mlp_gate_up"));
  EXPECT_THAT(reduces, testing::ElementsAre("attention_output", "mlp_down"));
}

TEST(LayerOperators, ParallelResidualReadsTheLayerInputTwice) {
  const OperatorGraph graph =
      layer_operators(from(R"({"model_type": "gpt_neox", "hidden_size": 64, "num_hidden_layers": 1,
               "num_attention_heads": 8, "intermediate_size": 256, "vocab_size": 100})"),
                      0, true);
  std::vector<std::string> readers;
  for (const auto edge : boost::make_iterator_range(out_edges(0, graph))) {
    readers.push_back(graph[target(edge, graph)].name);
  }
  EXPECT_THAT(readers,
              testing::UnorderedElementsAre("input_norm", "attention_residual", "mlp_norm"));
}

TEST(LayerOperators, WindowOnlyFromItsFirstLayer) {
  const Transformer model = from(R"({"model_type": "qwen2", "hidden_size": 64,
      "num_hidden_layers": 4, "num_attention_heads": 8, "intermediate_size": 96,
      "vocab_size": 100, "sliding_window": 16, "use_sliding_window": true,
      "max_window_layers": 2})");
  const auto window = [&](int layer) { return layer_operators(model, layer, true)[4].window; };
  EXPECT_EQ(layer_operators(model, 0, true)[4].name, "attention");
  EXPECT_FALSE(window(1));
  EXPECT_EQ(window(2), 16);
}

TEST(LayerOperators, RefusesALayerThatIsNotThere) {
  EXPECT_THROW(layer_operators(small_gpt(), 1, true), std::out_of_range);
  EXPECT_THROW(layer_operators(small_gpt(), -1, true), std::out_of_range);
}

/// What the header promises of every graph.
void expect_well_formed(const OperatorGraph& graph, const std::string& what) {
  const std::size_t last = num_vertices(graph) - 1;
  EXPECT_EQ(graph[0].kind, OperatorKind::Input) << what;
  EXPECT_EQ(graph[last].kind, OperatorKind::Output) << what;
  for (std::size_t v = 1; v <= last; ++v) EXPECT_GT(in_degree(v, graph), 0u) << what;
  for (std::size_t v = 0; v < last; ++v) EXPECT_GT(out_degree(v, graph), 0u) << what;
  std::map<int, std::pair<std::size_t, std::int64_t>> storages;  // producer and width
  for (const auto edge : boost::make_iterator_range(edges(graph))) {
    EXPECT_LT(source(edge, graph), target(edge, graph)) << what;
    const Tensor& tensor = graph[edge];
    EXPECT_GT(tensor.width, 0) << what << " " << tensor.name;
    const std::pair made{source(edge, graph), tensor.width};
    EXPECT_EQ(storages.emplace(tensor.storage, made).first->second, made) << what;
  }
  for (std::size_t v = 0; v <= last; ++v) {
    for (const Tensor& tensor : graph[v].kept) {
      EXPECT_TRUE(tensor.saved && tensor.width > 0) << what;
      EXPECT_TRUE(storages.emplace(tensor.storage, std::pair{v, tensor.width}).second) << what;
    }
  }
}

TEST(Operators, AreWellFormedAndSumToTheModel) {
  const profiles::DataFiles files;
  for (const std::string& name : files.names("models")) {
    const Transformer model = load_model(name, files);
    std::int64_t sum = embedding_parameters(model) + head_parameters(model);
    for (int layer = 0; layer < model.layers; ++layer) sum += layer_parameters(model, layer);
    EXPECT_EQ(sum, parameter_count(model)) << name;
    for (const bool flash : {false, true}) {
      expect_well_formed(layer_operators(model, 0, flash), name);
      expect_well_formed(layer_operators(model, model.layers - 1, flash), name);
    }
    expect_well_formed(embedding_operators(model), name);
    expect_well_formed(head_operators(model), name);
  }
}

}  // namespace
}  // namespace meshplan::planner
