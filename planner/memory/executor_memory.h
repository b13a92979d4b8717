#pragma once
#include "planner/memory/stage_memory.h"

namespace meshplan::planner {

/// What meshplan's own runtime (runtime/execute) holds where it differs from the frameworks that
/// `bytes` was made for, read off its code and held against its allocator by test:
///
/// - Dropout is drawn again in backward: no masks. Token ids are not kept.
/// - Norms keep a mean (layer norm) and a reciprocal deviation per row.
/// - The worst moment of a layer's backward is one of three. With S the residual stream of a rank,
///   N = all rows of it, G = N under sequence parallelism (gathered) else 0, D = S with dropout
///   else 0, W = the activated MLP, U = its input, Q = queries, keys and values, A = the context:
///     before the MLP's second weight gradient   S + D + G + W
///     before its first                          S + N + G - W
///     before attention's backward               2S + D + G + Q + A - (W + U + 2S),
///                                               and A more where it is recomputed
/// - On the last stage what the head keeps is gone by then.
/// - At the loss: logits that become their gradient, and the gradient of the head's input (N + G).
///   Under GPipe the head runs backward at once and leaves that gradient in place of its inputs.
/// - Rotary angles of one sequence, all along.
void as_our_executor(ActivationBytes& bytes, const Transformer& model, const Layout& layout,
                     const Workload& workload);

}  // namespace meshplan::planner
