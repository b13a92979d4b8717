#pragma once
#include "runtime/measure/host_tables.h"
#include "runtime/measure/measuring_core.h"

/// What one core takes for the operations of a layer, on operands where a run finds them.
namespace meshplan::runtime {

/// Activations that were just written and buffers that are used again and again are in the core's
/// caches, as far as they fit; weights, their gradients and activations saved for backward are not:
/// a whole pass lies between two uses.
profiles::Seconds gemm_time(std::int64_t m, std::int64_t n, std::int64_t k, ColdMemory& memory,
                            MeasuringCore& core);

/// Both passes of causal attention of one sequence; `dropout` = probability.
AttentionTime attention_time(std::int64_t heads, std::int64_t sequence, std::int64_t head_dim,
                             MeasuringCore& core, float dropout = 0);

/// The cache is cold: between two steps of decoding the weights of all layers pass by.
DecodeTime decode_time(std::int64_t keys, std::int64_t group, std::int64_t head_dim,
                       ColdMemory& memory, MeasuringCore& core);

/// What drawing adds for each visible pair of query and key, the mean of both passes.
profiles::Seconds dropout_pair(MeasuringCore& core);

/// One layer's worth on [rows, width] tensors. The planner charges 44 of them: two norms forward
/// (2) and backward (4), the activation forward (2) and backward (3) over four times the width, two
/// residuals forward and backward (3). Biases hide in the products there, here they are calls.
ElementwiseTime elementwise_time(std::int64_t rows, std::int64_t width, MeasuringCore& core);

/// The faster of a copy and the optimizer's update: the one writes memory that it has not read,
/// the other has four streams in and three out.
profiles::BytesPerSecond stream_bandwidth(MeasuringCore& core);

}  // namespace meshplan::runtime
