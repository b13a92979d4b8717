#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/execute/norm.h"
#include "runtime/execute/tensor_parallel.h"

namespace meshplan::runtime {

/// A vector of ids in the memory of the device: as many bytes as floats.
class DeviceIds {
 public:
  DeviceIds(const ModelContext& context, const std::vector<std::int32_t>& ids);
  [[nodiscard]] std::span<const std::int32_t> ids() const {
    return {reinterpret_cast<const std::int32_t*>(memory_.data()),
            static_cast<std::size_t>(memory_.cols())};
  }

 private:
  Tensor memory_;
};

/// Embedding of `tokens`, and of `positions` where those are learned: one for each row of the
/// result, which under sequence parallelism are this rank's. The table is split by rows over the
/// tensor-parallel ranks; each looks up its own ids and the sum is the whole.
Tensor embedded(ModelContext& context, const EmbeddingParameters& parameters,
                const std::vector<std::int32_t>& tokens,
                const std::vector<std::int32_t>& positions);

/// The tokens of a micro-batch of this rank, [mbs, seq_len + 1]: inputs, and targets one further.
std::vector<std::int32_t> microbatch_tokens(const RankContext& context, int microbatch);

/// Token and position embedding, [local tokens, hidden].
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
