#include "planner/model/saved_activations.h"

#include <boost/range/iterator_range.hpp>
#include <set>

#include "planner/model/operator_graph.h"

namespace meshplan::planner {

using profiles::Bytes;

Bytes saved_activation_bytes(const OperatorGraph& layer, std::int64_t tokens,
                             std::int64_t kv_length, const LayerSplit& split, Recompute recompute) {
  Bytes sum{};
  std::set<int> counted;
  const auto count = [&](const Tensor& tensor) {
    if (counted.insert(tensor.storage).second) {
      sum += rank_bytes(tensor, tokens, kv_length, split);
    }
  };
  for (const auto edge : boost::make_iterator_range(edges(layer))) {
    const Tensor& tensor = layer[edge];
    const bool input = layer[source(edge, layer)].kind == OperatorKind::Input;
    switch (recompute) {
      case Recompute::Full:
        if (input) count(tensor);
        break;
      case Recompute::Selective:
        if (tensor.saved && !tensor.core_attention) count(tensor);
        break;
      case Recompute::None:
        if (tensor.saved) count(tensor);
        break;
    }
  }
  if (recompute == Recompute::Full) return sum;
  for (const auto vertex : boost::make_iterator_range(vertices(layer))) {
    for (const Tensor& tensor : layer[vertex].kept) {
      if (recompute == Recompute::None || !tensor.core_attention) count(tensor);
    }
  }
  return sum;
}

Bytes saved_activation_bytes(const OperatorGraph& layer, std::int64_t tokens,
                             std::int64_t kv_length, int tp, bool sp, Recompute recompute) {
  const LayerSplit split{.tp = tp, .sp = sp, .ep = 1, .etp = tp};
  return saved_activation_bytes(layer, tokens, kv_length, split, recompute);
}

Bytes kept_product_bytes(const OperatorGraph& layer, std::int64_t tokens, std::int64_t kv_length,
                         const LayerSplit& split, double repeated) {
  Bytes whole{};
  Bytes products{};
  std::set<int> counted;
  for (const auto edge : boost::make_iterator_range(edges(layer))) {
    const Tensor& tensor = layer[edge];
    const OperatorKind from = layer[source(edge, layer)].kind;
    const bool product = from == OperatorKind::Gemm || from == OperatorKind::GroupedGemm;
    const bool kept = from == OperatorKind::Input || from == OperatorKind::Attention;
    if (!(product || kept) || !counted.insert(tensor.storage).second) continue;
    (product ? products : whole) += rank_bytes(tensor, tokens, kv_length, split);
  }
  for (const auto vertex : boost::make_iterator_range(vertices(layer))) {
    if (layer[vertex].kind != OperatorKind::Attention) continue;
    for (const Tensor& tensor : layer[vertex].kept) {
      whole += rank_bytes(tensor, tokens, kv_length, split);
    }
  }
  return whole + scaled(products, 1 - repeated);
}

Bytes weight_grad_activation_bytes(const OperatorGraph& layer, std::int64_t tokens,
                                   std::int64_t kv_length, const LayerSplit& split) {
  Bytes sum{};
  std::set<int> inputs;
  std::set<int> gradients;
  const auto count = [&](const Tensor& tensor, std::set<int>& counted) {
    if (counted.insert(tensor.storage).second) {
      sum += rank_bytes(tensor, tokens, kv_length, split);
    }
  };
  for (const auto edge : boost::make_iterator_range(edges(layer))) {
    const auto has_weights = [&](auto vertex) {
      const OperatorKind kind = layer[vertex].kind;
      return kind == OperatorKind::Gemm || kind == OperatorKind::GroupedGemm ||
             kind == OperatorKind::Router;
    };
    if (has_weights(target(edge, layer))) count(layer[edge], inputs);
    if (has_weights(source(edge, layer))) count(layer[edge], gradients);
  }
  return sum;
}

}  // namespace meshplan::planner
