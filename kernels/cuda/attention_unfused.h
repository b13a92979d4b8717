#pragma once
#include "kernels/attention.h"
#include "kernels/cuda/queue.h"

namespace meshplan::kernels::cuda {

/// How much of the scores exists at a time, so that they take at most `budget` bytes: key heads and
/// queries of a block, at least one of each. Blocks of at most 1024 queries leave out most of the
/// keys that causal queries do not see.
struct ScoreBlocks {
  std::int64_t key_heads = 1;
  std::int64_t queries = 1;
  std::int64_t row_stride = 0;  ///< of the scores: keys, rounded up to whole vectors
};
ScoreBlocks score_blocks(const AttentionShape& shape, std::int64_t bytes_a_score,
                         std::int64_t budget);

/// Keys that some query of [first, first + count) sees: those of the GEMMs over them.
std::int64_t keys_seen(const AttentionShape& shape, std::int64_t first, std::int64_t count);

/// Scores and their gradients by batched GEMMs, a batch being the key heads, with the softmax
/// between them; probabilities are rounded to the storage type before they are multiplied.
void unfused_attention(const AttentionForward& op, Queue& queue);
void unfused_attention(const AttentionBackward& op, Queue& queue);

}  // namespace meshplan::kernels::cuda
