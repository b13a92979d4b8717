#pragma once
#include "kernels/operation.h"

namespace meshplan::kernels {

/// Throws std::invalid_argument, naming the operation and the argument, unless shapes, types and
/// strides are those that the contract asks for. Every back end calls it first.
void check_shapes(const Gemm& op);
void check_shapes(const BiasForward& op);
void check_shapes(const BiasBackward& op);
void check_shapes(const LayerNormForward& op);
void check_shapes(const LayerNormBackward& op);
void check_shapes(const RmsNormForward& op);
void check_shapes(const RmsNormBackward& op);
void check_shapes(const ActivationForward& op);
void check_shapes(const ActivationBackward& op);
void check_shapes(const GatedActivationForward& op);
void check_shapes(const GatedActivationBackward& op);
void check_shapes(const RotaryTable& op);
void check_shapes(const Rotary& op);
void check_shapes(const AttentionForward& op);
void check_shapes(const AttentionBackward& op);
void check_shapes(const AttentionMerge& op);
void check_shapes(const CrossEntropyMax& op);
void check_shapes(const CrossEntropySum& op);
void check_shapes(const CrossEntropyLoss& op);
void check_shapes(const NormalFill& op);
void check_shapes(const Dropout& op);
void check_shapes(const EmbeddingForward& op);
void check_shapes(const EmbeddingBackward& op);
void check_shapes(const ResidualAdd& op);
void check_shapes(const Copy& op);
void check_shapes(const Fill& op);
void check_shapes(const AdamW& op);
void check_shapes(const SumOfSquares& op);

}  // namespace meshplan::kernels
