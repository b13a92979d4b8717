#include "planner/memory/rank_parameters.h"

#include <boost/range/iterator_range.hpp>

#include "planner/model/model_graphs.h"

namespace meshplan::planner {
namespace {

ParameterCount sum(const OperatorGraph& graph, const LayerSplit& split) {
  ParameterCount out;
  for (const auto vertex : boost::make_iterator_range(boost::vertices(graph))) {
    const Operator& op = graph[vertex];
    (op.split == Split::Experts ? out.experts : out.dense) += rank_parameters(op, split);
  }
  return out;
}

std::int64_t tied_sum(const OperatorGraph& graph, const LayerSplit& split) {
  std::int64_t out = 0;
  for (const auto vertex : boost::make_iterator_range(boost::vertices(graph))) {
    out += rank_tied_parameters(graph[vertex], split);
  }
  return out;
}

}  // namespace

LayerSplit layer_split(const Layout& layout) {
  return {layout.tp, layout.sp, layout.ep, layout.expert_tp()};
}

int sparse_layers(const Transformer& model, int first, int count) {
  if (!model.experts) return 0;
  int out = 0;
  for (int layer = first; layer < first + count; ++layer) out += model.sparse(layer) ? 1 : 0;
  return out;
}

RankParameters rank_parameters(const Transformer& model, const LayerSplit& split,
                               bool pads_vocabulary) {
  const ModelGraphs graphs =
      model_graphs(pads_vocabulary ? with_padded_vocabulary(model, split.tp) : model, true,
                   profiles::DataType::Bf16);
  return {sum(graphs.dense_layer, split),
          sum(graphs.sparse_layer, split),
          sum(graphs.embedding, split),
          sum(graphs.head, split),
          {tied_sum(graphs.head, split), 0}};
}

ParameterCount RankParameters::layers(const Transformer& model, int first, int count) const {
  const int sparse = sparse_layers(model, first, count);
  return std::int64_t{count - sparse} * dense_layer + std::int64_t{sparse} * sparse_layer;
}

}  // namespace meshplan::planner
