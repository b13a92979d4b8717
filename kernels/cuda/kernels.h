#pragma once
#include "kernels/cuda/queue.h"
#include "kernels/operation.h"

namespace meshplan::kernels::cuda {

// The operations on an NVIDIA GPU (compute capability 8.0 and later). Every pointer of an
// operation, also those in spans and SumOfSquares::sum, is memory of the queue's device. `run`
// issues to the queue's stream and returns; it throws std::invalid_argument where shapes do not
// fit, and Error where a call to CUDA fails.

void run(const Gemm& op, Queue& queue);
void run(const BiasForward& op, Queue& queue);
void run(const BiasBackward& op, Queue& queue);
void run(const LayerNormForward& op, Queue& queue);
void run(const LayerNormBackward& op, Queue& queue);
void run(const RmsNormForward& op, Queue& queue);
void run(const RmsNormBackward& op, Queue& queue);
void run(const ActivationForward& op, Queue& queue);
void run(const ActivationBackward& op, Queue& queue);
void run(const GatedActivationForward& op, Queue& queue);
void run(const GatedActivationBackward& op, Queue& queue);
void run(const RotaryTable& op, Queue& queue);
void run(const Rotary& op, Queue& queue);
void run(const AttentionForward& op, Queue& queue);
void run(const AttentionBackward& op, Queue& queue);
void run(const AttentionMerge& op, Queue& queue);
void run(const CrossEntropyMax& op, Queue& queue);
void run(const CrossEntropySum& op, Queue& queue);
void run(const CrossEntropyLoss& op, Queue& queue);
void run(const NormalFill& op, Queue& queue);
void run(const Dropout& op, Queue& queue);
void run(const EmbeddingForward& op, Queue& queue);
void run(const EmbeddingBackward& op, Queue& queue);
void run(const ResidualAdd& op, Queue& queue);
void run(const Copy& op, Queue& queue);
void run(const Fill& op, Queue& queue);
void run(const AdamW& op, Queue& queue);
void run(const SumOfSquares& op, Queue& queue);

/// What an engine calls for whatever a schedule holds.
void launch(Queue& queue, const Operation& operation);

}  // namespace meshplan::kernels::cuda
