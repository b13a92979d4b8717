#pragma once
#include "planner/model/operator_graph.h"

namespace meshplan::planner {

/// The operator graphs of a model's building blocks, made once and read many times. Layers of one
/// kind are alike; a model has dense layers, sparse layers (experts), or both. Where some layers of
/// a kind see a window of the keys and some see all, the kind's attention is that of their average.
struct ModelGraphs {
  OperatorGraph dense_layer, sparse_layer;  ///< empty if the model has none of the kind
  OperatorGraph embedding, head;
};
ModelGraphs model_graphs(const Transformer& model, bool flash_attention,
                         profiles::DataType data_type);

/// The same model with its vocabulary padded to a multiple of 128 tp, as every vocabulary-parallel
/// implementation stores it.
Transformer with_padded_vocabulary(Transformer model, int tp);

}  // namespace meshplan::planner
