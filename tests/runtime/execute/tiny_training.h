#pragma once
#include <string>

#include "runtime/execute/training.h"

namespace meshplan::runtime {

enum class Family { Gpt, Llama, Qwen };

/// A model small enough to run hundreds of times: 4 layers, hidden 32, 4 heads (Llama: 2 key-value
/// heads), sequences of 16 tokens, 97 words (not divisible by any tp). Gpt: layer norm, learned
/// positions, GELU, biases, tied embeddings. Llama: RMS norm, rotary, SwiGLU, separate head. Qwen:
/// Llama with one key-value head, biases of q, k, v and the head, and tied embeddings. `dropout`:
/// of the residual stream and of the attention probabilities.
planner::Transformer tiny_model(Family family, double dropout = 0);

/// `steps` steps of `global_batch` sequences under the layout that `layout` spells. The schedule is
/// the planner's, with `buckets` gradient and gather buckets a chunk; without `global_sync` ranks
/// do not wait for the gradient norm and nothing is clipped.
Training tiny_training(const planner::Transformer& model, const std::string& layout,
                       int global_batch = 8, int steps = 5, int buckets = 2,
                       bool global_sync = true);

}  // namespace meshplan::runtime
