#include "planner/model/parameters.h"

#include <boost/range/iterator_range.hpp>

#include "planner/model/model_graphs.h"

namespace meshplan::planner {
namespace {

/// Sum of `of_graph` over the embedding, every layer and the head.
template <typename OfGraph>
std::int64_t sum_over_model(const Transformer& model, const OfGraph& of_graph) {
  const ModelGraphs graphs = model_graphs(model, true, profiles::DataType::Bf16);
  const std::int64_t dense = of_graph(graphs.dense_layer);
  const std::int64_t sparse = of_graph(graphs.sparse_layer);
  std::int64_t sum = of_graph(graphs.embedding) + of_graph(graphs.head);
  for (int layer = 0; layer < model.layers; ++layer) sum += model.sparse(layer) ? sparse : dense;
  return sum;
}

}  // namespace

std::int64_t parameter_count(const Operator& op) {
  return op.parameters + op.replicated_parameters;
}

std::int64_t parameter_count(const OperatorGraph& graph) {
  std::int64_t sum = 0;
  for (const auto vertex : boost::make_iterator_range(vertices(graph))) {
    sum += parameter_count(graph[vertex]);
  }
  return sum;
}

std::int64_t layer_parameters(const Transformer& model, int layer) {
  return parameter_count(layer_operators(model, layer, true));
}
std::int64_t embedding_parameters(const Transformer& model) {
  return parameter_count(embedding_operators(model));
}
std::int64_t head_parameters(const Transformer& model) {
  return parameter_count(head_operators(model));
}

std::int64_t parameter_count(const Transformer& model) {
  return sum_over_model(model, [](const OperatorGraph& graph) { return parameter_count(graph); });
}

std::int64_t active_parameters(const Transformer& model) {
  return sum_over_model(model, [](const OperatorGraph& graph) {
    std::int64_t sum = 0;
    for (const auto vertex : boost::make_iterator_range(vertices(graph))) {
      const Operator& op = graph[vertex];
      const bool routed = op.kind == OperatorKind::GroupedGemm;
      sum += routed ? op.parameters / op.experts * op.experts_per_token : parameter_count(op);
    }
    return sum;
  });
}

}  // namespace meshplan::planner
