#pragma once
#include "planner/model/operators.h"
#include "planner/model/transformer.h"
#include "profiles/data_type.h"

namespace meshplan::planner {

/// The operator graphs of a model's building blocks, made once and read many times. Layers of one
/// kind are alike; a model has dense layers, sparse layers (experts), or both.
struct ModelGraphs {
  OperatorGraph dense_layer, sparse_layer;  ///< empty if the model has none of the kind
  OperatorGraph embedding, head;
};

inline ModelGraphs model_graphs(const Transformer& model, bool flash_attention,
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

/// The same model with its vocabulary padded to a multiple of 128 tp, as every vocabulary-parallel
/// implementation stores it.
inline Transformer with_padded_vocabulary(Transformer model, int tp) {
  if (tp == 1) return model;
  const int unit = 128 * tp;
  model.vocab = (model.vocab + unit - 1) / unit * unit;
  return model;
}

}  // namespace meshplan::planner
