#pragma once
#include <cstdint>
#include <vector>

#include "runtime/execute/norm.h"
#include "runtime/execute/tensor_parallel.h"

namespace meshplan::runtime {

/// The tokens of a micro-batch of this rank, [mbs, seq_len + 1]: inputs, and targets one further.
std::vector<std::int32_t> microbatch_tokens(const RankContext& context, int microbatch);

/// Token and position embedding, [local tokens, hidden]. The table is split by rows over the
/// tensor-parallel ranks; each looks up its own ids and the sum is the whole.
Tensor embedding_forward(RankContext& context, const EmbeddingParameters& parameters,
                         int microbatch);
void embedding_backward(RankContext& context, const EmbeddingParameters& parameters,
                        const Tensor& gradient, int microbatch);

/// What the head keeps from forward to backward. The logits have become their gradient by then.
struct HeadSaved {
  NormSaved norm;
  Tensor normed;
  Tensor dlogits;  ///< [n, vocab / t]
};

/// Final norm, logits over a split vocabulary, and the loss of every token, [1, n]: the same on
/// every tensor-parallel rank. Gradients are those of the mean over the global batch.
Tensor head_forward(RankContext& context, const HeadParameters& parameters, const Tensor& input,
                    int microbatch, HeadSaved& saved);
/// The gradient of the head's input.
Tensor head_backward(RankContext& context, const HeadParameters& parameters, HeadSaved saved,
                     WeightGradients& weight_gradients);

}  // namespace meshplan::runtime
