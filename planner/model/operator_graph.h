#pragma once
#include <boost/graph/adjacency_list.hpp>

#include "planner/model/operators.h"
#include "planner/model/transformer.h"
#include "profiles/data_type.h"

namespace meshplan::planner {

/// Operators of one layer, the embedding or the head, and the tensors between them. Vertices are in
/// execution order, the first is Input and the last Output; edges lead from lower to higher ones.
class OperatorGraph : public boost::adjacency_list<boost::vecS, boost::vecS, boost::bidirectionalS,
                                                   Operator, Tensor> {};

/// Layer `layer` (0-based). With `flash_attention` the core attention is one fused operator that
/// keeps softmax statistics; without, it is Scores, Softmax, Dropout, Context and keeps the scores.
/// Activations have 2 bytes an element, 4 when `data_type` is fp32 or tf32.
///
/// Statistics of the norms (8 bytes a token) are left out. Post-norm models (OPT-350m) are
/// described in the pre-norm order: same operators, parameters and bytes.
OperatorGraph layer_operators(const Transformer& model, int layer, bool flash_attention,
                              profiles::DataType data_type = profiles::DataType::Bf16);
/// Token ids to the first layer's input.
OperatorGraph embedding_operators(const Transformer& model,
                                  profiles::DataType data_type = profiles::DataType::Bf16);
/// Final norm, head and loss.
OperatorGraph head_operators(const Transformer& model,
                             profiles::DataType data_type = profiles::DataType::Bf16);

}  // namespace meshplan::planner
