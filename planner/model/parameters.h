#pragma once
#include <cstdint>

#include "planner/model/operators.h"
#include "planner/model/transformer.h"

namespace meshplan::planner {

/// Exact parameter counts, summed over the operators so that graph and count cannot differ. Tied
/// weights are counted once, in the embedding.
std::int64_t parameter_count(const Transformer& model);
std::int64_t layer_parameters(const Transformer& model, int layer);
std::int64_t embedding_parameters(const Transformer& model);
/// Final norm and head; the head's weight is 0 when it is the embedding's.
std::int64_t head_parameters(const Transformer& model);
/// Parameters that one token uses: of the routed experts only those it visits.
std::int64_t active_parameters(const Transformer& model);
/// Of one operator or of a whole graph, all ranks together.
std::int64_t parameter_count(const Operator& op);
std::int64_t parameter_count(const OperatorGraph& graph);

}  // namespace meshplan::planner
