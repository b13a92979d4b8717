#pragma once
#include <vector>

#include "planner/layout/layout.h"
#include "planner/model/transformer.h"

namespace meshplan::planner {

/// Layers of each chunk in model order when `stages` does not say (DESIGN.md section 3):
/// layers % chunks == 0: even; else (layers + 2) % chunks == 0: first and last chunk one short;
/// else the contiguous split with the least greatest chunk, where the embedding weighs
/// `embedding_weight` layers and the head `head_weight`; the ends may hold no layer at all.
std::vector<int> default_split(int layers, int chunks, double embedding_weight, double head_weight);

/// The split that `layout` means for `model`: its own, or the default one. The head's weight is its
/// FLOPs over those of a layer (per token, GEMMs only); the embedding is a lookup and weighs
/// nothing.
std::vector<int> stage_split(const Layout& layout, const Transformer& model);

/// Rank that owns chunk `chunk`: chunk % pp, and for zb-v down and up again.
int owner_of_chunk(const Layout& layout, int chunk);

}  // namespace meshplan::planner
