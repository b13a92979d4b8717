#include "planner/model/model_graphs.h"

namespace meshplan::planner {

ModelGraphs model_graphs(const Transformer& model, bool flash_attention,
                         profiles::DataType data_type) {
  ModelGraphs out;
  bool dense = false;
  bool sparse = false;
  for (int layer = 0; layer < model.layers && !(dense && sparse); ++layer) {
    const bool is_sparse = model.sparse(layer);
    if (is_sparse ? sparse : dense) continue;
    (is_sparse ? sparse : dense) = true;
    (is_sparse ? out.sparse_layer : out.dense_layer) =
        layer_operators(model, layer, flash_attention, data_type);
    if (!model.experts) break;
  }
  out.embedding = embedding_operators(model, data_type);
  out.head = head_operators(model, data_type);
  return out;
}

Transformer with_padded_vocabulary(Transformer model, int tp) {
  if (tp == 1) return model;
  const int unit = 128 * tp;
  model.vocab = (model.vocab + unit - 1) / unit * unit;
  return model;
}

}  // namespace meshplan::planner
