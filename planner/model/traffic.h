#pragma once
#include <cstddef>
#include <cstdint>

#include "planner/model/shard.h"

namespace meshplan::planner {

/// Bytes one rank's operator must move through device memory: every input, output and kept tensor
/// once, and its weights once (an embedding: only the rows it looks up). Under sequence parallelism
/// inputs count as gathered and outputs as not yet reduced: that is what the operator itself moves.
/// The floor of a roofline; what stays in cache moves less, unfused implementations more.
struct Traffic {
  profiles::Bytes forward;
  profiles::Bytes input_grad;  ///< gradients of the outputs in, of the inputs out, saved tensors in
  profiles::Bytes weight_grad;  ///< gradients of the outputs and inputs in, weight gradient out
};

/// Of vertex `vertex` of `graph`. `weight_bytes` = bytes of one weight, `gradient_bytes` of one
/// element of the accumulated weight gradient (read and written).
Traffic operator_traffic(const OperatorGraph& graph, std::size_t vertex, std::int64_t tokens,
                         std::int64_t kv_length, const LayerSplit& split, int weight_bytes = 2,
                         int gradient_bytes = 4);

}  // namespace meshplan::planner
