#pragma once
#include "kernels/attention.h"
#include "kernels/cuda/queue.h"

namespace meshplan::kernels::cuda {

/// Attention of few queries over many keys, as in decoding: keys and values are read once, in parts
/// that blocks take on side by side, and the parts are joined by their log-sum-exp.
///
/// Whether it does this one: no dropout, at most 8 queries a sequence and 64 a key head, heads of a
/// power of two of vectors up to 32, vectors that lie on 16 bytes.
bool decodes(const AttentionForward& op);

void decode_attention(const AttentionForward& op, Queue& queue);

/// How the keys are cut: by the shape alone, so that the additions have one order on every device.
struct KeyParts {
  std::int64_t keys_of_part = 0;
  std::int64_t count = 0;
};
KeyParts key_parts(const AttentionShape& shape);

}  // namespace meshplan::kernels::cuda
