#pragma once
#include <vector>

#include "runtime/execute/training.h"

namespace meshplan::runtime {

/// Which chunks and stages do the same work: the first of a kind stands for all of it. Chunks are
/// alike that hold as many layers and the same ends of the model, and all micro-batches are; stages
/// are alike that hold such chunks.
struct Alike {
  std::vector<int> chunk;  ///< by chunk: the first one like it
  std::vector<int> stage;  ///< by stage: the same
};
Alike alike(const planner::Layout& layout, const planner::Transformer& model);

/// `training` with as few micro-batches as leave every stage its fullest moment: the same number of
/// micro-batches in flight, in a legal schedule. The rest repeat what these do.
Training with_fewest_microbatches(Training training);

}  // namespace meshplan::runtime
