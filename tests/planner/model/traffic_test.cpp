#include "planner/model/traffic.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "planner/model/operator_graph.h"
#include "tests/planner/model/test_models.h"

namespace meshplan::planner {
namespace {

Traffic traffic_of(const OperatorGraph& graph, const std::string& name, const LayerSplit& split) {
  for (std::size_t v = 0; v < num_vertices(graph); ++v) {
    if (graph[v].name == name) return operator_traffic(graph, v, 100, 100, split);
  }
  throw std::out_of_range(name);
}

TEST(OperatorTraffic, OfAGemmByHand) {
  // 100 tokens, h = 1024, ffn = 4096 with bias; tp = 4 without sequence parallelism.
  const Traffic up = traffic_of(layer_operators(small_gpt(), 0, true), "mlp_up", {.tp = 4});
  const std::int64_t weights = 1024 * 1024 + 1024;
  const std::int64_t in = 2 * 100 * 1024;
  const std::int64_t out = 2 * 100 * 1024;
  EXPECT_EQ(up.forward.count, in + 2 * weights + out);
  EXPECT_EQ(up.input_grad.count, out + 2 * weights + in);
  EXPECT_EQ(up.weight_grad.count, in + out + 2 * 4 * weights);
}

TEST(OperatorTraffic, GathersBeforeAndReducesAfterTheOperator) {
  const LayerSplit split{.tp = 4, .sp = true};
  const OperatorGraph graph = layer_operators(small_gpt(), 0, true);
  const std::int64_t stream = 2 * 100 * 1024;  // whole on every rank, gathered or partial sums
  const std::int64_t quarter = 2 * 100 * 4096 / 4;
  EXPECT_EQ(traffic_of(graph, "mlp_up", split).forward.count,
            stream + 2 * (1024 * 1024 + 1024) + quarter);
  EXPECT_EQ(traffic_of(graph, "mlp_down", split).forward.count,
            quarter + 2 * (1024 * 1024 + 1024) + stream);
}

TEST(OperatorTraffic, OfMemoryBoundOperatorsByHand) {
  const OperatorGraph graph = layer_operators(small_gpt(), 0, true);
  const std::int64_t stream = 2 * 100 * 1024;
  // Both addends in, sum out.
  EXPECT_EQ(traffic_of(graph, "mlp_residual", {}).forward.count, 3 * stream);
  // In, out, one byte of mask per element; backward reads the mask too.
  EXPECT_EQ(traffic_of(graph, "mlp_dropout", {}).forward.count, 2 * stream + 100 * 1024);
  EXPECT_EQ(traffic_of(graph, "mlp_dropout", {}).input_grad.count, 2 * stream + 100 * 1024);
  // In, out, weight and bias.
  EXPECT_EQ(traffic_of(graph, "mlp_norm", {}).forward.count, 2 * stream + 2 * 2048);
  // Sequence parallelism cuts the activations, not the norm's parameters.
  EXPECT_EQ(traffic_of(graph, "mlp_norm", {.tp = 4, .sp = true}).forward.count,
            2 * stream / 4 + 2 * 2048);
  // The ends do no work.
  EXPECT_EQ(traffic_of(graph, "output", {}).forward.count, 0);
}

TEST(OperatorTraffic, OfAnEmbeddingIsItsRowsNotItsTable) {
  const OperatorGraph graph = embedding_operators(small_gpt());
  // 8 bytes of id a token, a row in, a row out.
  EXPECT_EQ(traffic_of(graph, "embedding", {}).forward.count, 100 * (8 + 2 * 1024 + 2 * 1024));
  // Activations in fp32, weights still in 16 bits.
  const OperatorGraph fp32 = embedding_operators(small_gpt(), profiles::DataType::Fp32);
  EXPECT_EQ(traffic_of(fp32, "embedding", {}).forward.count, 100 * (8 + 2 * 1024 + 4 * 1024));
}

}  // namespace
}  // namespace meshplan::planner
