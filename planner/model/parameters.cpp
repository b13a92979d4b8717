#include "planner/model/parameters.h"

#include <boost/range/iterator_range.hpp>
#include <optional>

namespace meshplan::planner {
namespace {

/// Layers come in at most two kinds, dense and sparse; each is built once.
template <typename OfGraph>
std::int64_t sum_over_layers(const Transformer& model, const OfGraph& of_graph) {
  std::optional<std::int64_t> dense, sparse;
  std::int64_t sum = 0;
  for (int layer = 0; layer < model.layers; ++layer) {
    auto& one = model.sparse(layer) ? sparse : dense;
    if (!one) one = of_graph(layer_operators(model, layer, true));
    sum += *one;
  }
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
  return embedding_parameters(model) + head_parameters(model) +
         sum_over_layers(model, [](const OperatorGraph& graph) { return parameter_count(graph); });
}

std::int64_t active_parameters(const Transformer& model) {
  const auto active = [](const OperatorGraph& graph) {
    std::int64_t sum = 0;
    for (const auto vertex : boost::make_iterator_range(vertices(graph))) {
      const Operator& op = graph[vertex];
      sum += op.kind == OperatorKind::GroupedGemm
                 ? op.parameters / op.experts * op.experts_per_token + op.replicated_parameters
                 : parameter_count(op);
    }
    return sum;
  };
  return embedding_parameters(model) + head_parameters(model) + sum_over_layers(model, active);
}

}  // namespace meshplan::planner
