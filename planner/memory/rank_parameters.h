#pragma once
#include <cstdint>
#include <vector>

#include "planner/layout/layout.h"
#include "planner/model/shard.h"
#include "planner/model/transformer.h"

namespace meshplan::planner {

/// Parameters that one rank holds. Expert parameters have replicas of their own.
struct ParameterCount {
  std::int64_t dense = 0, experts = 0;
  [[nodiscard]] std::int64_t sum() const { return dense + experts; }
  friend ParameterCount operator+(ParameterCount a, ParameterCount b) {
    return {a.dense + b.dense, a.experts + b.experts};
  }
  friend ParameterCount operator*(std::int64_t n, ParameterCount a) {
    return {n * a.dense, n * a.experts};
  }
};

/// Per building block, after tp and ep.
struct RankParameters {
  ParameterCount dense_layer, sparse_layer;
  ParameterCount embedding;
  ParameterCount head;       ///< final norm and an untied head
  ParameterCount tied_head;  ///< the embedding's weights once more, held by a last stage of its own

  /// Of layers [first, first + count).
  [[nodiscard]] ParameterCount layers(const Transformer& model, int first, int count) const;
};

/// `pads_vocabulary`: to a multiple of 128 tp, as most vocabulary-parallel implementations do.
RankParameters rank_parameters(const Transformer& model, const LayerSplit& split,
                               bool pads_vocabulary = true);

/// The cuts of one layer that `layout` makes.
LayerSplit layer_split(const Layout& layout);

/// Sparse layers among [first, first + count).
int sparse_layers(const Transformer& model, int first, int count);

}  // namespace meshplan::planner
