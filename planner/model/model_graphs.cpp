#include "planner/model/model_graphs.h"

#include <boost/range/iterator_range.hpp>
#include <optional>

namespace meshplan::planner {
namespace {

/// The graph of the sparse or of the dense layers; empty if there are none.
OperatorGraph layers_of_kind(const Transformer& model, bool sparse, bool flash_attention,
                             profiles::DataType data_type) {
  std::optional<int> windowed;
  std::optional<int> any;
  int layers = 0;
  int windows = 0;
  for (int layer = 0; layer < model.layers; ++layer) {
    if (model.sparse(layer) != sparse) continue;
    if (!any) any = layer;
    if (!windowed && model.windowed(layer)) windowed = layer;
    ++layers;
    windows += model.windowed(layer) ? 1 : 0;
  }
  if (!any) return {};
  OperatorGraph out = layer_operators(model, windowed.value_or(*any), flash_attention, data_type);
  for (const auto vertex : boost::make_iterator_range(vertices(out))) {
    if (out[vertex].window) out[vertex].window_share = static_cast<double>(windows) / layers;
  }
  return out;
}

}  // namespace

ModelGraphs model_graphs(const Transformer& model, bool flash_attention,
                         profiles::DataType data_type) {
  return {layers_of_kind(model, false, flash_attention, data_type),
          layers_of_kind(model, true, flash_attention, data_type),
          embedding_operators(model, data_type), head_operators(model, data_type)};
}

Transformer with_padded_vocabulary(Transformer model, int tp) {
  if (tp == 1) return model;
  const int unit = 128 * tp;
  model.vocab = (model.vocab + unit - 1) / unit * unit;
  return model;
}

}  // namespace meshplan::planner
